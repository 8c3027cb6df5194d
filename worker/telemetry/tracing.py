"""Traces of jobs, as the flow sees them; these leave no spans, and break no trace.

    with tracing.job(envelope, address, queue) as trace:
        trace.headers                                what every reply carries
        with trace.attempt(1) as attempt:            ``invoke_agent``
            attempt.first_text(0.8)
            with trace.call("task_messages"): ...    a REST call
            attempt.ended(verdict)
        trace.retry(verdict.reason, 0.5)             told of the attempt that has ended
        with trace.publish(ReplyKind.FINAL): ...     the terminal reply
        trace.ended(verdict)

What is made here does nothing but hand on what the producer sent: it is what runs while tracing
is off, and what a job gets that is not sampled. :mod:`worker.telemetry.spans` makes spans.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from worker.core.envelope import Envelope
from worker.core.headers import TRACEPARENT, TRACESTATE
from worker.core.job import Address
from worker.core.reply import ReplyKind
from worker.core.verdict import Verdict

Call = Literal["create_task", "list_tasks", "task_messages"]
"""The calls to AUI's REST API, by the names of the port's methods."""

Parent = Literal["parent", "link"]
"""What a producer's span is to ours: parent and link; or, of producers not trusted, only a link."""

MAX_CARRIED = 8192
"""Bytes of a header that is handed on: W3C Baggage, section 3.3.2."""


class Step:
    """A part of a job's trace that takes time: a context, to be left when it is over."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; an exception makes it a failure, of which only the type is told."""


class AttemptTrace(Step):
    """One attempt at a turn."""

    __slots__ = ()

    def first_text(self, seconds: float, ago: float = 0.0) -> None:
        """Note that the first text came from AUI.

        Args:
            seconds: how long after the message was sent.
            ago: how many seconds ago that was, where it is told afterwards.
        """

    def ended(self, verdict: Verdict) -> None:
        """Note how it ended; to be called before its context is left."""


_STEP = Step()
_ATTEMPT = AttemptTrace()


class JobTrace(Step):
    """The trace of one job: a context around the work on it.

    Attributes:
        headers: the trace context that every reply about it carries; not to be changed.
        trace_id: which trace it belongs to, in 32 hexadecimal digits; None if none is known.
    """

    __slots__ = ("headers", "trace_id")

    def __init__(self, headers: Mapping[str, str], trace_id: str | None = None) -> None:
        self.headers = headers
        self.trace_id = trace_id

    def attempt(self, number: int, *, streamed: bool = True) -> AttemptTrace:
        """Begin an attempt.

        Args:
            number: as replies carry it; never restarting for a job.
            streamed: the answer comes in updates, not whole.
        """
        return _ATTEMPT

    def retry(self, reason: str, seconds: float) -> None:
        """Note that the last attempt is to be tried again, in so many seconds, and why."""

    def call(self, name: Call) -> Step:
        """Begin a call to AUI's REST API; a part of the attempt, if one is being made."""
        return _STEP

    def publish(self, kind: ReplyKind) -> Step:
        """Begin to publish the terminal reply; ends when it is confirmed."""
        return _STEP

    def ended(self, verdict: Verdict, attempts: int = 0, *, recovered: bool = False) -> None:
        """Note how the job ended.

        Args:
            verdict: what its ending means.
            attempts: how many were made.
            recovered: its answer was found in the task's history.
        """


UNTRACED = JobTrace({})
"""The trace of what belongs to none."""


class Tracing:
    """Begins traces of jobs; hands on those that producers began.

    Args:
        fields: headers that belong to a trace; W3C's own, which are checked when a job is decoded,
            go on in any case.
    """

    def __init__(self, fields: Sequence[str] = ("baggage",)) -> None:
        self._fields = [name for name in fields if name not in (TRACEPARENT, TRACESTATE)]

    def job(
        self, envelope: Envelope, address: Address, queue: str = "", tag: int | None = None
    ) -> JobTrace:
        """Begin the trace of a job, or go on with the one that its producer began.

        Args:
            envelope: the message, whose headers may hold a trace context.
            address: who the replies are for.
            queue: the queue it came from.
            tag: its delivery tag.
        """
        headers = self._carried(envelope.properties.headers, address.trace)
        parent = headers.get(TRACEPARENT)
        return JobTrace(headers, parent[3:35] if parent else None)

    def _carried(self, headers: Mapping[str, Any], trace: Mapping[str, str]) -> Mapping[str, str]:
        """Return all headers of a trace; W3C's own as they are, if there are no more."""
        for name in self._fields:
            if name in headers:
                value = headers[name]
                if isinstance(value, str) and len(value) <= MAX_CARRIED:
                    trace = {**trace, name: value}
        return trace
