"""Brings a job to where it belongs: the partition of its slot; one by user, to that of its task."""

from dataclasses import replace

from worker.core.body import with_task
from worker.core.errors import AgentUnavailable
from worker.core.job import Address, Job, Request
from worker.core.reply import Replies
from worker.core.republish import forwarded
from worker.core.retry import Allowance
from worker.core.slots import slot_of
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.attempts import Attempts
from worker.relay.door import Visit
from worker.relay.ports import Clock, Copies, Publisher
from worker.relay.progress import Progress
from worker.relay.received import Received
from worker.relay.users import Users


class Placing:
    """Forwards jobs.

    Args:
        users: finds the task of a job by user.
        attempts: the retry loop of finding it.
        copies: takes what is forwarded.
        publisher: announces tasks.
        clock: the time.
    """

    def __init__(
        self, users: Users, attempts: Attempts, copies: Copies, publisher: Publisher, clock: Clock
    ) -> None:
        self._users = users
        self._attempts = attempts
        self._copies = copies
        self._publisher = publisher
        self._clock = clock

    async def find_task(
        self, received: Received, job: Job, replies: Replies, progress: Progress
    ) -> Verdict | None:
        """Find or make the user's task, announce a new one, and queue the job behind its others.

        Returns:
            None when the job is forwarded, else why it is not.
        """

        async def attempt(_: Visit, allowance: Allowance) -> Verdict:
            allowance.start()
            if received.expired(self._clock):
                return judge(Source.EXPIRED, detail="expired before its task was found")
            try:
                task_id, made = await self._users.task_for(
                    job,
                    repeated=job.maybe_sent or bool(progress.attempts),
                    trace=progress.trace,
                )
            except AgentUnavailable as error:
                progress.note(replies.attempt, "finding the task", error.verdict)
                return error.verdict
            if made is not None:
                replies.about_task(task_id)
                await self._publisher.announce(replies.created(made.raw))
            body = with_task(received.delivery.envelope.body, task_id)
            await self.forward(received, job, task_id, body, replies.attempt)
            return COMPLETED

        network, user_id = job.address.network, job.address.user_id or ""
        verdict = await self._attempts.run(network, user_id, attempt, replies, progress)
        return None if verdict is COMPLETED else verdict

    async def forward(
        self, received: Received, asked: Job | Request, key: str, body: bytes, base: int
    ) -> None:
        """Queue a copy in the partition of its slot; returns when the broker has it.

        Args:
            received: the delivery it came by.
            asked: what it asks for.
            key: the task or user whose slot it belongs to.
            body: the copy's.
            base: attempts made so far.
        """
        envelope = received.delivery.envelope
        # A job that came without an id keeps the one it was given here.
        properties = replace(
            forwarded(envelope, base, received.expires_at), message_id=asked.address.job_id
        )
        await self._copies.to_slot(envelope.network, slot_of(key), body, properties)

    def ended(self, address: Address, verdict: Verdict) -> None:
        """Know a user's task no longer if AUI knows it no longer."""
        if verdict.reason == "not_found" and address.user_id and address.task_id:
            self._users.forget(address.network, address.user_id, address.task_id)
