"""The flow of one job: decode, converse, relay, decide, settle.

intake -> lanes -> Handler.handle(received, behind)
  ended here before                  its terminal reply again, if anybody still needs it
  not a job                          dead letter
  not in its task's partition        forwarded to its slot
  by user                            task found or made, then forwarded to the task's slot
  else                               a turn, and its terminal reply
  core.retry.decide(verdict) -> Ack | DeadLetter | GiveBack
  every path                         settled once, after all it published is confirmed
"""

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from worker.core.body import with_task
from worker.core.envelope import Envelope
from worker.core.errors import AgentUnavailable
from worker.core.job import Address, Job
from worker.core.reply import Replies
from worker.core.republish import forwarded
from worker.core.retry import Ack, Allowance, DeadLetter, GiveBack, decide
from worker.core.slots import in_place, slot_of
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.attempts import Attempts
from worker.relay.door import Visit
from worker.relay.endings import Endings
from worker.relay.ports import Clock, Copies, Delivery, Publisher
from worker.relay.progress import Progress
from worker.relay.received import Received
from worker.relay.turns import Turns
from worker.relay.users import Users
from worker.telemetry.logs import FIELDS
from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import JobTrace, Tracing

log = logging.getLogger(__name__)


class Handler:
    """Handles one job after another; knows no broker and no AUI but the ports.

    Args:
        turns: runs a turn.
        users: finds the task of a job by user.
        attempts: the retry loop of finding it.
        copies: forwards jobs.
        publisher: announces tasks.
        endings: ends jobs.
        partitions: the number of partitions a slot is mapped to.
        clock: the time.
        tracing: begins the traces of jobs.
        metrics: what is counted and measured.
        texts_told: the log may tell what users and agents say.
    """

    def __init__(
        self,
        turns: Turns,
        users: Users,
        attempts: Attempts,
        copies: Copies,
        publisher: Publisher,
        endings: Endings,
        partitions: int,
        clock: Clock,
        tracing: Tracing,
        metrics: Metrics,
        *,
        texts_told: bool = False,
    ) -> None:
        self._turns = turns
        self._users = users
        self._attempts = attempts
        self._copies = copies
        self._publisher = publisher
        self._endings = endings
        self._partitions = partitions
        self._clock = clock
        self._tracing = tracing
        self._metrics = metrics
        self._texts_told = texts_told

    async def handle(self, received: Received, behind: Sequence[Received] = ()) -> None:
        """Bring one job to its end and settle its delivery; never raises but for cancellation.

        Args:
            received: the job, claimed.
            behind: what waits behind it in its lane.
        """
        progress = self._begun(received)
        replies = Replies(_traced(received, progress), received.base, on_hub=received.on_hub)
        with progress:
            async with received.worked_on() as work:
                try:
                    ended, verdict = None, None
                    try:
                        ended = await self._endings.repeat(received)
                        if ended is None:
                            verdict = await self._course(received, replies, progress, behind)
                    except Exception as error:
                        verdict = _bug(error, received, replies)
                    if ended is None:
                        await self._settle(received, verdict, replies, progress, behind)
                    else:
                        progress.repeated()
                        await (received.ack_with(behind) if ended.answered else received.ack())
                except Exception:
                    # Not even the dead letter was written; at 10 deliveries it is a poison job.
                    log.exception("a job could not be settled: given back", extra=received.about)
                    received.give_back()
        if work.abandoned:
            log.warning("a job is left to whoever has its redelivery", extra=received.about)

    def _begun(self, received: Received) -> Progress:
        delivery, job = received.delivery, received.job
        address = received.address
        return Progress(
            clock=self._clock,
            network=address.network,
            trace=self._trace(delivery, address),
            metrics=self._metrics,
            texts_told=self._texts_told,
            received_at=received.at,
            published_at=None if job is None else job.published_at,
        )

    def _trace(self, delivery: Delivery, address: Address) -> JobTrace:
        """Begin the trace; what a producer or a library does to that never costs the job."""
        try:
            return self._tracing.job(delivery.envelope, address, delivery.queue, delivery.tag)
        except Exception:
            log.exception("a bug while beginning a trace")
            return JobTrace(address.trace)

    def _course(
        self,
        received: Received,
        replies: Replies,
        progress: Progress,
        behind: Sequence[Received],
    ) -> Awaitable[Verdict | None]:
        """Choose what is to be done; it returns how the job ended, or None if nothing is left."""
        job, envelope = received.job, received.delivery.envelope
        if job is None or received.problem is not None:
            return _refuse(received, replies)
        task_id, user_id = job.address.task_id, job.address.user_id
        key = task_id or user_id or ""
        if not in_place(key, envelope.routing_key, self._partitions):
            return self._forward(received, job, key, envelope.body, job.attempt_base)
        if task_id is None:
            return self._find_task(received, job, replies, progress)
        return self._turns.run(received, job, task_id, replies, progress, behind)

    async def _find_task(
        self, received: Received, job: Job, replies: Replies, progress: Progress
    ) -> Verdict | None:
        """Find or make the user's task, announce a new one, and queue the job behind its others."""

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
                replies.address = replace(replies.address, task_id=task_id)
                await self._publisher.announce(replies.created(made.raw))
            body = with_task(received.delivery.envelope.body, task_id)
            await self._forward(received, job, task_id, body, replies.attempt)
            return COMPLETED

        network, user_id = job.address.network, job.address.user_id or ""
        verdict = await self._attempts.run(network, user_id, attempt, replies, progress)
        return None if verdict is COMPLETED else verdict

    async def _forward(
        self, received: Received, job: Job, key: str, body: bytes, base: int
    ) -> None:
        envelope: Envelope = received.delivery.envelope
        # A job that came without an id keeps the one it was given here.
        properties = replace(
            forwarded(envelope, base, received.expires_at), message_id=job.address.job_id
        )
        await self._copies.to_slot(envelope.network, slot_of(key), body, properties)

    def _forget_task(self, address: Address, verdict: Verdict) -> None:
        """Know a user's task no longer if AUI knows it no longer."""
        if verdict.reason == "not_found" and address.user_id and address.task_id:
            self._users.forget(address.network, address.user_id, address.task_id)

    async def _settle(
        self,
        received: Received,
        verdict: Verdict | None,
        replies: Replies,
        progress: Progress,
        behind: Sequence[Received],
    ) -> None:
        """Publish what ends the job, and only when it is confirmed tell the broker."""
        if verdict is None:
            await received.ack()
            return
        self._forget_task(received.address, verdict)
        match decide(verdict):
            case GiveBack():
                progress.ended(verdict)
                received.give_back()
                return
            case DeadLetter() as settlement:
                await self._endings.keep(received, settlement, replies, progress)
                await received.ack()
            case Ack():
                await self._endings.answer(replies, progress)
                await received.ack_with(behind)
        if received.delivery.lost:
            self._endings.not_acked(received)
        progress.ended(verdict)
        ended = received.about[FIELDS] | progress.told(verdict, received.job)
        log.info("job ended", extra={FIELDS: ended})


def _traced(received: Received, progress: Progress) -> Address:
    """Return who is to be told, with the trace that every reply carries."""
    address, headers = received.address, progress.trace.headers
    return address if headers is address.trace else replace(address, trace=headers)


async def _refuse(received: Received, replies: Replies) -> Verdict:
    replies.begin_attempt()
    return received.problem or judge(Source.BUG)


def _bug(error: Exception, received: Received, replies: Replies) -> Verdict:
    log.error("a bug while handling a job", exc_info=error, extra=received.about)
    if replies.attempt == received.base:
        replies.begin_attempt()  # it broke before the first one: attempts count from 1
    return judge(Source.BUG, detail=type(error).__name__)
