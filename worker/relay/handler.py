"""The flow of one job: decode, converse, relay, decide, settle.

intake -> lanes -> Handler.handle(received)
  not a job                          dead letter
  not in its task's partition        forwarded to its slot
  by user                            task found or made, then forwarded to the task's slot
  else                               a turn, and its terminal reply
  core.retry.decide(verdict) -> Ack | DeadLetter
  every path                         ack, after all it published is confirmed
"""

import logging
from dataclasses import dataclass, replace

from worker.core.body import with_task
from worker.core.envelope import Envelope
from worker.core.errors import AgentUnavailable
from worker.core.job import Address, Job
from worker.core.reply import Replies
from worker.core.republish import forwarded
from worker.core.retry import Ack, DeadLetter, decide
from worker.core.slots import in_place, slot_of
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.dead_letters import DeadLetters
from worker.relay.ports import Clock, Copies, Delivery, Publisher
from worker.relay.progress import Progress
from worker.relay.turns import Turns
from worker.relay.users import Users
from worker.telemetry.logs import FIELDS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery, decoded: a job, or why it gets none of the agent's time.

    Attributes:
        delivery: what is to be settled.
        address: who is to be told, as far as it is known.
        base: attempts made before, under earlier deliveries and copies.
        job: the job, or None.
        problem: the verdict on what is no job, or was given up by the broker.
        on_hub: replies go to the hub; those about what is no job only go to its ``reply_to``.
    """

    delivery: Delivery
    address: Address
    base: int
    job: Job | None = None
    problem: Verdict | None = None
    on_hub: bool = True

    @property
    def lost(self) -> bool:
        """The broker hands it out again."""
        return self.delivery.lost


class Handler:
    """Handles one job after another; knows no broker and no AUI but the ports.

    Args:
        turns: runs a turn.
        users: finds the task of a job by user.
        copies: forwards jobs.
        publisher: publishes replies.
        dead_letters: keeps what could not be answered.
        partitions: the number of partitions a slot is mapped to.
        clock: the time.
    """

    def __init__(
        self,
        turns: Turns,
        users: Users,
        copies: Copies,
        publisher: Publisher,
        dead_letters: DeadLetters,
        partitions: int,
        clock: Clock,
    ) -> None:
        self._turns = turns
        self._users = users
        self._copies = copies
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._partitions = partitions
        self._clock = clock

    async def handle(self, received: Received) -> None:
        """Bring one job to its end and settle its delivery; never raises but for cancellation."""
        replies = Replies(received.address, received.base, on_hub=received.on_hub)
        progress = Progress(self._clock)
        try:
            try:
                verdict = await self._verdict(received, replies, progress)
            except Exception as error:
                log.exception("a bug while handling a job", extra=_about(received.address))
                if replies.attempt == received.base:
                    replies.begin_attempt()  # it broke before the first one: attempts count from 1
                verdict = judge(Source.BUG, detail=type(error).__name__)
            await self._settle(received, verdict, replies, progress)
        except Exception:
            # Not even the dead letter could be written; the delivery limit ends it, if it stays so.
            log.exception("a job could not be settled: given back", extra=_about(received.address))
            received.delivery.give_back()

    async def _verdict(
        self, received: Received, replies: Replies, progress: Progress
    ) -> Verdict | None:
        """Return how the job ended; None if it did not, but was moved to another queue."""
        job, envelope = received.job, received.delivery.envelope
        if job is None:
            replies.begin_attempt()
            return received.problem or judge(Source.BUG)
        task_id, user_id = job.address.task_id, job.address.user_id
        key = task_id or user_id or ""
        if not in_place(key, envelope.routing_key, self._partitions):
            await self._forward(job, envelope, key, envelope.body, job.attempt_base)
            return None
        if task_id is None:
            return await self._find_task(job, envelope, replies, progress)
        verdict = await self._turns.run(job, task_id, replies, progress)
        if verdict.reason == "not_found" and user_id is not None:
            self._users.forget(job.address.network, user_id, task_id)
        return verdict

    async def _find_task(
        self, job: Job, envelope: Envelope, replies: Replies, progress: Progress
    ) -> Verdict | None:
        """Find or make the user's task, announce a new one, and queue the job behind its others."""
        timestamp = envelope.properties.timestamp
        published_at = timestamp.timestamp() if timestamp else None

        async def attempt() -> Verdict:
            repeated = job.maybe_sent or bool(progress.attempts)
            replies.begin_attempt()
            try:
                task_id, made = await self._users.task_for(
                    job, repeated=repeated, published_at=published_at
                )
            except AgentUnavailable as error:
                progress.note(replies.attempt, "finding the task", error.verdict)
                return error.verdict
            if made is not None:
                replies.address = replace(job.address, task_id=task_id)
                await self._publisher.announce(replies.created(made.raw))
            body = with_task(envelope.body, task_id)
            await self._forward(job, envelope, task_id, body, replies.attempt)
            return COMPLETED

        verdict = await self._turns.until_settled(attempt, replies, self._turns.deadline())
        return None if verdict is COMPLETED else verdict

    async def _forward(
        self, job: Job, envelope: Envelope, key: str, body: bytes, base: int
    ) -> None:
        # A job that came without an id keeps the one it was given here.
        properties = replace(forwarded(envelope, base), message_id=job.address.job_id)
        await self._copies.to_slot(envelope.network, slot_of(key), body, properties)

    async def _settle(
        self, received: Received, verdict: Verdict | None, replies: Replies, progress: Progress
    ) -> None:
        """Publish what ends the job, and only when it is confirmed tell the broker."""
        delivery = received.delivery
        if verdict is None:
            await delivery.ack()
            return
        match decide(verdict):
            case DeadLetter(verdict):
                await self._dead_letters.keep(
                    delivery.envelope, received.address, replies, verdict, progress
                )
            case Ack():
                assert progress.final is not None  # it is what completed means
                await self._publisher.terminal(replies.final(progress.final.raw))
        await delivery.ack()
        ended = {
            "verdict": str(verdict.kind),
            "reason": verdict.reason,
            "attempts": len(progress.attempts),
        }
        log.info("job ended", extra={FIELDS: _about(received.address)[FIELDS] | ended})


def _about(address: Address) -> dict[str, dict[str, object]]:
    return {
        FIELDS: {
            "job": address.job_id,
            "task": address.task_id,
            "network": address.network,
            "channel": address.channel,
        }
    }
