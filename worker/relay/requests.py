"""Answers requests about tasks: made, listed and read, for whoever has no key of AUI's.

Nothing of it is on the hub. A read changes nothing, so it waits for no turn, and one that nobody
can answer is only told.
"""

from collections.abc import Mapping

from worker.core.errors import AgentUnavailable
from worker.core.job import Request
from worker.core.operation import Operation
from worker.core.reply import Replies, Reply
from worker.core.retry import Allowance
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.attempts import Attempts
from worker.relay.door import Visit
from worker.relay.ports import Agent, Clock
from worker.relay.progress import Progress
from worker.relay.received import Received
from worker.relay.users import Users
from worker.telemetry.tracing import JobTrace


class Requests:
    """Puts requests to AUI.

    Args:
        agents: AUI, by network.
        users: knows the users' tasks, and is to know a new one.
        attempts: the retry loop.
        clock: the time.
    """

    def __init__(
        self, agents: Mapping[str, Agent], users: Users, attempts: Attempts, clock: Clock
    ) -> None:
        self._agents = agents
        self._users = users
        self._attempts = attempts
        self._clock = clock

    async def run(
        self, received: Received, request: Request, replies: Replies, progress: Progress
    ) -> Verdict:
        """Get the answer; it is in ``progress`` when the verdict is completed.

        Args:
            received: the delivery it came by.
            request: what is asked.
            replies: numbers the replies.
            progress: takes down how it goes.
        """

        async def attempt(_: Visit, allowance: Allowance) -> Verdict:
            allowance.start()
            if received.expired(self._clock):
                return judge(Source.EXPIRED, detail="expired before it could be asked")
            again = request.repeated or bool(progress.attempts)
            try:
                progress.answer = await self._answer(request, replies, again, progress.trace)
            except AgentUnavailable as error:
                progress.note(replies.attempt, str(request.operation), error.verdict)
                return error.verdict
            return COMPLETED

        about = request.address
        key = about.task_id or about.user_id or ""
        return await self._attempts.run(about.network, key, attempt, replies, progress)

    async def _answer(
        self, request: Request, replies: Replies, again: bool, trace: JobTrace
    ) -> Reply:
        about = request.address
        agent = self._agents[about.network]
        match request.operation:
            case Operation.MESSAGES:
                with trace.call("task_messages"):
                    history = await agent.task_messages(about.task_id or "")
                return replies.messages(b"[" + b",".join(said.raw for said in history) + b"]")
            case Operation.LIST:
                with trace.call("list_tasks"):
                    page = await agent.list_tasks(about.user_id or "", request.page, request.size)
                return replies.listed(page.raw)
            case _:
                task = await self._users.create_for(request, repeated=again, trace=trace)
                replies.about_task(task.id)
                return replies.created(task.raw)
