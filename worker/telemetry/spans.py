"""The spans of one job: ``process``, and below it ``invoke_agent``, REST calls, and ``publish``.

Contexts are passed on by hand: a "current span" costs a copy of the context in every task. Spans
hold no text, no key, no user's id, and of an exception only its type.
"""

from collections.abc import Mapping
from time import time_ns
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from worker.core.errors import AgentUnavailable
from worker.core.job import Address
from worker.core.reply import ReplyKind
from worker.core.verdict import Kind, Verdict
from worker.telemetry import conventions as c
from worker.telemetry.tracing import AttemptTrace, Call, JobTrace, Step

_CALLS: Mapping[Call, tuple[str, str]] = {
    "create_task": ("POST", "/tasks"),
    "list_tasks": ("GET", "/tasks"),
    "task_messages": ("GET", "/tasks/{task_id}/messages"),
}


class JobSpan(JobTrace):
    """The span of a job.

    Args:
        tracer: makes those below it.
        span: its own.
        context: its own, with the baggage it came with.
        address: who the replies are for.
        headers: what every reply carries.
        trace_id: which trace it belongs to.
    """

    __slots__ = ("_address", "_attempt", "_context", "_span", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        context: Context,
        address: Address,
        headers: Mapping[str, str],
        trace_id: str,
    ) -> None:
        super().__init__(headers, trace_id)
        self._tracer = tracer
        self._span = span
        self._context = context
        self._address = address
        self._attempt: _AttemptSpan | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._attempt is not None:
            self._attempt.let_go()
        if error is not None:
            _fail(self._span, _type_of(error))
        self._span.end()

    def attempt(self, number: int, *, streamed: bool = True) -> AttemptTrace:
        """Begin an attempt, linked to the one before."""
        before, links = self._attempt, None
        if before is not None:
            before.let_go()
            links = (Link(before.span.get_span_context()),)
        attributes: dict[str, str | int | bool] = {
            c.GEN_AI_OPERATION_NAME: c.INVOKE_AGENT,
            c.GEN_AI_PROVIDER_NAME: c.AUI,
            c.GEN_AI_REQUEST_STREAM: streamed,
            c.NETWORK: self._address.network,
            c.ATTEMPT: number,
        }
        if self._address.task_id is not None:
            attributes[c.GEN_AI_CONVERSATION_ID] = self._address.task_id
        span = self._tracer.start_span(
            c.INVOKE_AGENT, self._context, SpanKind.CLIENT, attributes, links
        )
        self._attempt = _AttemptSpan(span, self._context)
        return self._attempt

    def retry(self, reason: str, seconds: float) -> None:
        """Tell the last attempt that it is tried again."""
        if self._attempt is not None:
            self._attempt.retried(reason, seconds)

    def call(self, name: Call) -> Step:
        """Begin a call, within the attempt that is being made."""
        method, path = _CALLS[name]
        attributes = {
            c.HTTP_REQUEST_METHOD: method,
            c.URL_TEMPLATE: path,
            c.NETWORK: self._address.network,
        }
        attempt = self._attempt
        context = self._context if attempt is None or attempt.over else attempt.context
        return _SpanStep(
            self._tracer.start_span(f"{method} {path}", context, SpanKind.CLIENT, attributes)
        )

    def publish(self, kind: ReplyKind) -> Step:
        """Begin to publish the terminal reply."""
        attributes = {
            c.MESSAGING_SYSTEM: c.RABBITMQ,
            c.MESSAGING_OPERATION_NAME: c.PUBLISH,
            c.MESSAGING_OPERATION_TYPE: c.SEND,
            c.MESSAGING_DESTINATION_NAME: c.REPLIES,
            c.REPLY_KIND: str(kind),
            c.NETWORK: self._address.network,
        }
        name = f"{c.PUBLISH} {c.REPLIES}"
        return _SpanStep(
            self._tracer.start_span(name, self._context, SpanKind.PRODUCER, attributes)
        )

    def ended(self, verdict: Verdict, attempts: int = 0, *, recovered: bool = False) -> None:
        """Note how the job ended; one that goes back to its queue is no failure."""
        self._span.set_attributes(
            _of_verdict(verdict) | {c.ATTEMPTS: attempts, c.RECOVERED: recovered}
        )
        if verdict.kind not in (Kind.COMPLETED, Kind.POSTPONED):
            _fail(self._span, verdict.reason)


class _SpanStep(Step):
    """A step that is one span."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            _fail(self._span, _type_of(error))
        self._span.end()


class _AttemptSpan(AttemptTrace):
    """The span of an attempt; when that was interrupted, it is kept to be told of the retry."""

    __slots__ = ("_ended_at", "_verdict", "context", "span")

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.context = trace.set_span_in_context(span, context)
        self._ended_at: int | None = None
        self._verdict: Verdict | None = None

    @property
    def over(self) -> bool:
        """It has ended, though its span may be kept."""
        return self._ended_at is not None

    def first_text(self, seconds: float, ago: float = 0.0) -> None:
        """Note it, and how long it took."""
        self.span.add_event("first_text", timestamp=time_ns() - int(ago * 1e9))
        self.span.set_attribute(c.GEN_AI_TIME_TO_FIRST_CHUNK, seconds)

    def ended(self, verdict: Verdict) -> None:
        """Note how it ended."""
        self._verdict = verdict
        self.span.add_event("verdict", _of_verdict(verdict))
        if verdict.kind not in (Kind.COMPLETED, Kind.POSTPONED):
            _fail(self.span, verdict.reason)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended_at = time_ns()
        if error is not None:
            _fail(self.span, _type_of(error))
        if self._verdict is None or self._verdict.kind is not Kind.INTERRUPTED:
            self.let_go()

    def retried(self, reason: str, seconds: float) -> None:
        """Note that it is tried again; it took no longer for that."""
        attributes: dict[str, str | float] = {c.REASON: reason, c.RETRY_IN: round(seconds, 3)}
        self.span.add_event("retry", attributes, self._ended_at)
        if self.over:
            self.let_go()

    def let_go(self) -> None:
        """End the span, at the time the attempt did."""
        if self.span.is_recording():
            self.span.end(self._ended_at)


def _of_verdict(verdict: Verdict) -> dict[str, str | int | bool]:
    told: dict[str, str | int | bool] = {
        c.VERDICT: str(verdict.kind),
        c.REASON: verdict.reason,
    }
    if verdict.status_code is not None:
        told[c.HTTP_STATUS_CODE] = verdict.status_code
    if verdict.close_code is not None:
        told[c.CLOSE_CODE] = verdict.close_code
    return told


def _fail(span: Span, what: str) -> None:
    span.set_attribute(c.ERROR_TYPE, what)
    span.set_status(Status(StatusCode.ERROR))


def _type_of(error: BaseException) -> str:
    if isinstance(error, AgentUnavailable):
        return error.verdict.reason
    return type(error).__name__
