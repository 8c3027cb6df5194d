"""Replies as a subscriber sees them: one class for each kind, told apart by ``isinstance``."""

from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from opentelemetry import propagate
from opentelemetry.context import Context

from worker.client.advice import Advice, advice_for
from worker.client.models import Option, Task, options_in, text_in, texts_in
from worker.core import headers as h
from worker.core.reply import ReplyKind

_NOWHERE = Context()


class Receipt(Protocol):
    """What the broker waits for about one message."""

    def ack(self) -> Awaitable[None]:
        """Have it taken off the queue."""

    def give_back(self, after: float) -> Awaitable[None]:
        """Have it handed out again, in so many seconds."""


class Done:
    """Nothing is left to be awaited."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE = Done()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came about a job.

    Attributes:
        task_id: the task it is about; "" where a job by user failed before its task was found.
        job_id: the job it is about.
        network: the job's network; "" where it came over a ``reply_to`` that is not the client's.
        channel: the job's channel; "" likewise.
        user_id: the user, of a job by user.
        correlation_id: the job's; its id where its producer gave none.
        attempt: the attempt it belongs to; it never restarts for a job.
        seq: its place within the attempt, from 1.
        body: the parsed JSON, in AUI's own shapes.
        raw: the JSON itself, byte for byte.
        headers: all AMQP headers.
    """

    kind: ClassVar[ReplyKind | None] = None
    terminal: ClassVar[bool] = False
    """It ends the job."""

    task_id: str
    job_id: str
    network: str
    channel: str
    user_id: str | None
    correlation_id: str
    attempt: int
    seq: int
    body: Any = field(repr=False)
    raw: bytes = field(repr=False)
    headers: Mapping[str, Any] = field(repr=False)
    receipt: Receipt | None = field(default=None, repr=False, compare=False)

    @property
    def place(self) -> tuple[int, int]:
        """Its place among the replies about its job: (attempt, seq)."""
        return self.attempt, self.seq

    @property
    def trace_context(self) -> Context:
        """The OpenTelemetry context of the job's trace: the parent of a span of one's own.

        ``tracer.start_as_current_span("send sms", reply.trace_context)``
        """
        texts = {name: value for name, value in self.headers.items() if isinstance(value, str)}
        return propagate.extract(texts, _NOWHERE)

    def ack(self) -> Awaitable[None]:
        """Have it taken off the queue of :meth:`Client.subscribe`: one's own side effect is done.

        To be awaited, but for the blocking client. Until then it comes again after a crash. Other
        streams need no ack, and this does nothing. A connection that was lost meanwhile is no
        error: the reply may then come once more.
        """
        return DONE if self.receipt is None else self.receipt.ack()

    def give_back(self, after: float = 1.0) -> Awaitable[None]:
        """Have it handed out again, to whoever consumes the queue of :meth:`Client.subscribe`.

        To be awaited, but for the blocking client.

        Args:
            after: seconds to wait, so that a bot that cannot do its work does not spin.
        """
        return DONE if self.receipt is None else self.receipt.give_back(after)

    @property
    def _fields(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Reply):
    """The text so far: it replaces the one before, it is never appended to it."""

    kind = ReplyKind.UPDATE

    @property
    def text(self) -> str:
        """The cumulative text."""
        data = self._fields.get("data")
        return text_in(data, "text") if isinstance(data, Mapping) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Reply):
    """The agent's whole answer: AUI's ``ExternalTaskMessage``."""

    kind = ReplyKind.FINAL
    terminal = True

    @property
    def id(self) -> str:
        """AUI's id of the message."""
        return text_in(self._fields, "id")

    @property
    def text(self) -> str:
        """The whole text."""
        return text_in(self._fields, "text")

    @property
    def options(self) -> tuple[Option, ...]:
        """The products it offers, whichever dialect AUI wrote them in (``options``, ``cards``)."""
        return options_in(self._fields)

    @property
    def followup_suggestions(self) -> tuple[str, ...]:
        """What the user might say next."""
        return texts_in(self._fields, "followup_suggestions")

    @property
    def recovered(self) -> bool:
        """It was found in the task's history, after the worker lost the stream."""
        return self.headers.get(h.RECOVERED) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bad(Reply):
    """What carries AUI's error payload."""

    @property
    def reason(self) -> str:
        """A word of the verdict table (``aui-worker explain`` prints it)."""
        return str(self.headers.get(h.REASON, "failed"))

    @property
    def status_code(self) -> int | None:
        """AUI's status code, if it sent one."""
        code = self._fields.get("status_code")
        return code if isinstance(code, int) else None

    @property
    def message(self) -> str:
        """One line for developers, not for users."""
        return text_in(self._fields, "message") or text_in(self._fields, "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_Bad):
    """No answer will come; the job is kept in ``aui.dead``."""

    kind = ReplyKind.FAILED
    terminal = True

    @property
    def advice(self) -> Advice:
        """What to tell the user: ``rephrase``, ``try_later`` or ``operator``."""
        return advice_for(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying(_Bad):
    """The text of this attempt is void; another attempt follows."""

    kind = ReplyKind.RETRYING

    @property
    def retry_in(self) -> float:
        """Seconds until then."""
        seconds = self.headers.get(h.RETRY_IN)
        return float(seconds) if isinstance(seconds, int | float) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(Reply):
    """The worker has created the task for a job by user."""

    kind = ReplyKind.CREATED

    @property
    def user(self) -> str:
        """The user it was created for."""
        return self.user_id or self.task.user_id

    @property
    def task(self) -> Task:
        """The task, with AUI's words of welcome."""
        return Task.read(self._fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Reply):
    """What was asked for by an operation, and comes to nobody else."""

    terminal = True
