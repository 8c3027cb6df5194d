"""How far a job has come: what its dead letter, its log line, its trace and its metrics tell."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from worker.core.asked import Asked
from worker.core.job import Job
from worker.core.reply import Reply
from worker.core.republish import AttemptRecord
from worker.core.turn import Turn
from worker.core.verdict import Kind, Verdict
from worker.core.wire import Final
from worker.relay.outbox import Outbox
from worker.relay.ports import Clock, Publisher
from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import UNTRACED, AttemptTrace, JobTrace

_UNMEASURED = Metrics()


@dataclass(slots=True)
class Progress:
    """The record of one job in this process: a context around the work on it.

    Attributes:
        clock: dates the attempts.
        network: the job's network.
        trace: the job's trace.
        metrics: what is counted and measured.
        texts_told: the log may tell what users and agents say.
        received_at: when the job came, in monotonic seconds.
        published_at: when it was published, in seconds since 1970, if its producer said so.
        attempts: what became of each.
        text: the newest text of the last one.
        final: the agent's answer, once there is one.
        answer: the answer to a request about tasks, once there is one.
        recovered: it was found in the task's history.
        asked: what is known of a message that may have been sent; None before the first attempt.
        queue_wait: seconds the job lay in its queue, as far as is known.
        first_text: seconds after it came at which its first text went out; None before.
    """

    clock: Clock
    network: str = ""
    trace: JobTrace = UNTRACED
    metrics: Metrics = _UNMEASURED
    texts_told: bool = False
    received_at: float = 0.0
    published_at: float | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    text: str = ""
    final: Final | None = None
    answer: Reply | None = None
    recovered: bool = False
    asked: Asked | None = None
    queue_wait: float | None = None
    first_text: float | None = None
    _began: float = 0.0
    _attempt: AttemptTrace | None = None

    def __enter__(self) -> Self:
        self.trace.__enter__()
        self._began = self.clock.now()
        if self.published_at is not None:
            self.queue_wait = max(0.0, self.clock.utc().timestamp() - self.published_at)
        self.metrics.job_begun(self.network, self.queue_wait)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.trace.__exit__(kind, error, trace)

    def begin_attempt(self, number: int, *, streamed: bool) -> None:
        """Begin an attempt at a turn, or go on with it."""
        if self._attempt is None:
            self._attempt = self.trace.attempt(number, streamed=streamed).__enter__()

    def conversed(self, turn: Turn, outbox: Outbox, began: float) -> None:
        """Take in how a conversation of the attempt went, and what of it went out."""
        verdict, now = turn.verdict, self.clock.now()
        assert verdict is not None  # the conversation has ended
        first = None if outbox.first_put is None else outbox.first_put - began
        per_text = None
        if outbox.first_put is not None and outbox.puts > 1:
            per_text = (outbox.last_put - outbox.first_put) / (outbox.puts - 1)
        self.metrics.attempt_ended(self.network, verdict, now - began, first, per_text)
        self.metrics.coalesced(outbox.coalesced)
        if first is not None and self._attempt is not None:
            self._attempt.first_text(first, now - began - first)
        if self.first_text is None and outbox.first_published is not None:
            self.first_text = outbox.first_published - self.received_at
            self.metrics.first_text(self.network, self.first_text)

    def end_attempt(self, verdict: Verdict) -> None:
        """End the attempt, if one was begun."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.ended(verdict)
            attempt.__exit__(None, None, None)

    def retry(self, verdict: Verdict, seconds: float) -> None:
        """Note that another attempt follows the last one, in so many seconds."""
        self.trace.retry(verdict.reason, seconds)
        self.metrics.retried(self.network, verdict.reason)

    def found(self, answer: Final) -> None:
        """Take the answer that was in the task's history: nobody is asked again."""
        self.final, self.text, self.recovered = answer, answer.text, True
        self.metrics.recovered(self.network)
        self.metrics.averted(self.network)

    async def end(self, publisher: Publisher, reply: Reply, *, keep: bool = True) -> None:
        """Publish the terminal reply; returns when it is confirmed.

        Args:
            publisher: where to.
            reply: it.
            keep: it is kept if nobody is there to take it.
        """
        began = self.clock.now()
        with self.trace.publish(reply.kind):
            await (publisher.terminal(reply) if keep else publisher.announce(reply))
        self.metrics.confirmed(self.clock.now() - began)

    def repeated(self) -> None:
        """Note that the job had ended before, so that nobody is asked again."""
        self.metrics.averted(self.network)

    def ended(self, verdict: Verdict) -> None:
        """Note how the job ended, or that it goes back to its queue."""
        self.trace.ended(verdict, len(self.attempts), recovered=self.recovered)
        if verdict.kind is not Kind.POSTPONED:
            self.metrics.job_ended(self.network, verdict, self.clock.now() - self._began)

    def told(self, verdict: Verdict, job: Job | None) -> dict[str, object]:
        """Return what the log says of its end; times in seconds."""
        told: dict[str, object] = {
            "verdict": str(verdict.kind),
            "reason": verdict.reason,
            "attempts": len(self.attempts),
            "recovered": self.recovered,
            "seconds": round(self.clock.now() - self._began, 3),
        }
        times = {"queue_wait": self.queue_wait, "first_text": self.first_text}
        told |= {name: round(each, 3) for name, each in times.items() if each is not None}
        if self.trace.trace_id is not None:
            told["trace_id"] = self.trace.trace_id
        if self.texts_told and job is not None:
            told |= {"text": job.text, "answer": self.text}
        return told

    def note(self, attempt: int, phase: str, verdict: Verdict) -> None:
        """Record how an attempt ended."""
        self.attempts.append(
            AttemptRecord(
                at=self.clock.utc().isoformat(timespec="milliseconds"),
                attempt=attempt,
                phase=phase,
                what=verdict.reason,
                detail=verdict.detail,
            )
        )
