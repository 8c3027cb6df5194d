"""The flow of one job: decode, converse, relay, decide, settle.

intake -> lanes -> Handler.handle(received, behind)
  ended here before                  its terminal reply again, if anybody still needs it
  not a job                          dead letter
  not in its task's partition        forwarded to its slot
  a request about tasks              its answer, to whoever asked
  by user                            task found or made, then forwarded to the task's slot
  else                               a turn, and its terminal reply
  core.retry.decide(verdict) -> Ack | DeadLetter | GiveBack
  every path                         settled once, after all it published is confirmed
"""

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from worker.core.job import Address, Request
from worker.core.reply import Replies
from worker.core.retry import Ack, DeadLetter, GiveBack, decide
from worker.core.slots import in_place
from worker.core.verdict import Source, Verdict, judge
from worker.relay.endings import Endings
from worker.relay.placing import Placing
from worker.relay.ports import Clock, Delivery
from worker.relay.progress import Progress
from worker.relay.received import Received
from worker.relay.requests import Requests
from worker.relay.turns import Turns
from worker.telemetry.logs import FIELDS
from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import JobTrace, Tracing

log = logging.getLogger(__name__)


class Handler:
    """Handles one job after another; knows no broker and no AUI but the ports.

    Args:
        turns: runs a turn.
        requests: answers requests about tasks.
        placing: forwards jobs, and finds the tasks of those by user.
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
        requests: Requests,
        placing: Placing,
        endings: Endings,
        partitions: int,
        clock: Clock,
        tracing: Tracing,
        metrics: Metrics,
        *,
        texts_told: bool = False,
    ) -> None:
        self._turns = turns
        self._requests = requests
        self._placing = placing
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
        delivery, asked, address = received.delivery, received.asked, received.address
        return Progress(
            clock=self._clock,
            network=address.network,
            trace=self._trace(delivery, address),
            metrics=self._metrics,
            texts_told=self._texts_told,
            received_at=received.at,
            published_at=None if asked is None else asked.published_at,
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
        asked, envelope = received.asked, received.delivery.envelope
        if asked is None or received.problem is not None:
            return _refuse(received, replies)
        task_id, user_id = asked.address.task_id, asked.address.user_id
        key = task_id or user_id or ""
        if not (asked.anywhere or in_place(key, envelope.routing_key, self._partitions)):
            return self._placing.forward(received, asked, key, envelope.body, asked.attempt_base)
        if isinstance(asked, Request):
            return self._requests.run(received, asked, replies, progress)
        if task_id is None:
            return self._placing.find_task(received, asked, replies, progress)
        return self._turns.run(received, asked, task_id, replies, progress, behind)

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
        self._placing.ended(received.address, verdict)
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
