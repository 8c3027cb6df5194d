"""Converse and relay: one turn, over as many attempts as it takes.

Updates go out as they come. An interrupted attempt tells the subscribers that its text is void
and is tried again by tenacity, holding the lane, so that order survives; a sleeping retry holds
no concurrency slot.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from tenacity import AsyncRetrying, RetryCallState

from worker.core.job import Job
from worker.core.reply import Replies
from worker.core.retry import Deadline, RetryPolicy
from worker.core.turn import Turn
from worker.core.verdict import Verdict
from worker.relay.outbox import Outbox
from worker.relay.ports import Agent, Clock, Conversation, Hold, Publisher, TaskExchanges
from worker.relay.progress import Progress

log = logging.getLogger(__name__)


class Turns:
    """Runs turns against AUI.

    Args:
        agents: AUI, by network.
        publisher: where updates and ``retrying`` go.
        exchanges: keeps the task's exchange while the turn runs.
        policy: how hard to try.
        open_turns: bounds the turns with an open socket.
        clock: the time.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        publisher: Publisher,
        exchanges: TaskExchanges,
        policy: RetryPolicy,
        open_turns: asyncio.Semaphore,
        clock: Clock,
    ) -> None:
        self._agents = agents
        self._publisher = publisher
        self._exchanges = exchanges
        self._policy = policy
        self._open_turns = open_turns
        self._clock = clock

    async def run(self, job: Job, task_id: str, replies: Replies, progress: Progress) -> Verdict:
        """Put a job to the agent and relay its answer, all but the terminal reply.

        Returns:
            the verdict on the last attempt; the answer is in ``progress`` when it completed.
        """
        deadline = self.deadline()
        with self._exchanges.hold(job.address.network, task_id) as hold:

            async def attempt() -> Verdict:
                replies.begin_attempt()
                async with self._open_turns:
                    turn = await self._converse(job, task_id, replies, hold, deadline.start())
                assert turn.verdict is not None  # the conversation has ended
                progress.text, progress.final = turn.text, turn.final
                progress.note(replies.attempt, turn.phase, turn.verdict)
                if turn.ignored:
                    log.warning("ignored of task %s: %s", task_id, dict(turn.ignored))
                return turn.verdict

            verdict = await self.until_settled(attempt, replies, deadline)
            await hold.ready()
            return verdict

    def deadline(self) -> Deadline:
        """Return a deadline for a job, which does not run yet."""
        return Deadline(self._policy.deadline, self._clock.now)

    async def until_settled(
        self, attempt: Callable[[], Awaitable[Verdict]], replies: Replies, deadline: Deadline
    ) -> Verdict:
        """Call ``attempt`` until it is not interrupted, or the attempts or the time are used up."""

        async def announce(state: RetryCallState) -> None:
            assert state.outcome is not None  # tenacity sleeps after an outcome
            await self._publisher.announce(
                replies.retrying(state.outcome.result(), state.upcoming_sleep)
            )

        retrying = AsyncRetrying(
            retry=self._policy.retry,
            stop=self._policy.stop(deadline),
            wait=self._policy.wait,
            sleep=self._clock.sleep,
            before_sleep=announce,
            retry_error_callback=_last,
        )
        verdict: Verdict = await retrying(attempt)
        return verdict

    async def _converse(
        self, job: Job, task_id: str, replies: Replies, hold: Hold, deadline: float
    ) -> Turn:
        agent = self._agents[job.address.network]
        outbox = Outbox(self._publisher, replies, job.pace, hold.ready, self._clock.now)
        async with outbox, agent.converse(task_id, job.request, deadline) as conversation:
            await _relay(conversation, outbox)
        if outbox.coalesced:
            log.debug("task %s: %d updates coalesced", task_id, outbox.coalesced)
        return conversation.turn


async def _relay(conversation: Conversation, outbox: Outbox) -> None:
    async for update in conversation:
        outbox.put(update.text)


def _last(state: RetryCallState) -> Verdict:
    assert state.outcome is not None  # tenacity stops after an outcome
    verdict: Verdict = state.outcome.result()
    return verdict
