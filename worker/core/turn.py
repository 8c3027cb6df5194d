"""The sans-I/O state of one attempt at a turn: frames and closes in, one verdict out.

The first evidence wins and sets the verdict once; whatever comes later changes nothing. The
driver owns the socket and the clock: it feeds what it sees, and must

* relay each :class:`~worker.core.wire.Update` that :meth:`Turn.receive` returns, in order;
* stop when :attr:`Turn.verdict` is set;
* when :attr:`Turn.closing` becomes true (an error frame came), wait a short while for the close
  code, which may weigh more, and call :meth:`Turn.no_close_came` if none comes.
"""

from collections import Counter
from dataclasses import replace

from worker.core.update import Update
from worker.core.verdict import COMPLETED, Kind, Source, Verdict, judge
from worker.core.wire import Failure, Final, Garbage, Unknown, read_frame

_NO_TEXT = b'""'


class Turn:
    """One attempt at one user message of a task.

    Attributes:
        verdict: None until the first conclusive evidence, then never changed.
        final: the answer, when the verdict is completed.
        maybe_sent: the request may have reached AUI.
        sent_at: when it was sent, in seconds since 1970 by AUI's clock, if AUI told the time.
        ignored: what was received and not used, counted: unknown frames, another task's updates.
        stale: it was put to AUI over a socket of an earlier turn, which failed before a word came:
            that tells nothing of AUI, and nothing of whether the request reached it.

    Args:
        task_id: the task.
        previous: the id of the last final that came over the same socket, if one did.
    """

    __slots__ = (
        "_failure",
        "_newest",
        "_previous",
        "final",
        "ignored",
        "maybe_sent",
        "sent_at",
        "stale",
        "task_id",
        "verdict",
    )

    def __init__(self, task_id: str, previous: str | None = None) -> None:
        self.task_id = task_id
        self.stale = False
        self.verdict: Verdict | None = None
        self.final: Final | None = None
        self.ignored: Counter[str] = Counter()
        self.maybe_sent = False
        self.sent_at: float | None = None
        self._previous = previous
        self._failure: Failure | None = None
        self._newest: Update | None = None

    @property
    def text(self) -> str:
        """The newest cumulative text."""
        if self.final is not None:
            return self.final.text
        return "" if self._newest is None else self._newest.text

    @property
    def closing(self) -> bool:
        """An error frame came and its close code is still awaited."""
        return self._failure is not None and self.verdict is None

    @property
    def started(self) -> bool:
        """Some text has arrived."""
        if self.final is not None:
            return bool(self.final.text)
        return self._newest is not None and self._newest.literal != _NO_TEXT

    @property
    def phase(self) -> str:
        """How far it came: ``connecting``, ``waiting`` for the first text, or ``streaming``."""
        if not self.maybe_sent:
            return "connecting"
        return "streaming" if self.started else "waiting"

    def sending(self, at: float | None = None) -> None:
        """Note that the request is about to be sent: from here on AUI may have it.

        Args:
            at: the time by AUI's clock, in seconds since 1970, if AUI has told it.
        """
        self.maybe_sent = True
        self.sent_at = at

    def receive(self, raw: bytes) -> Update | None:
        """Take one frame; return the update to relay, if it is one of this task."""
        if self.verdict is not None or self._failure is not None:
            return None
        match read_frame(raw):
            case Failure() as failure:
                self._failure = failure
            case Final(id=self._previous):
                self._ignore("the final of the turn before")
            case Final() as final:
                self.final = final
                self.verdict = COMPLETED
            case Update() as update:
                return self._take(update)
            case Unknown(what):
                self._ignore(what)
            case Garbage(what):
                self._set(judge(Source.GARBAGE_FRAME, detail=what))
        return None

    def closed_by_server(self, code: int, reason: str = "") -> None:
        """Take the close frame the server sent.

        1008 rejects whatever the frame before it, with that frame's reason; otherwise an error
        frame that told a status is the earlier evidence, and a bare close speaks for itself.
        """
        failure = self._failure
        detail = f"AUI closed with {code}" + (f": {reason}" if reason else "")
        closed = judge(Source.SERVER_CLOSE, code, detail=detail)
        if failure is None:
            self._set(closed)
            return
        told = self._judge_failure(failure)
        if code == 1008:
            word = told.reason if failure.status_code is not None else closed.reason
            self._set(replace(told, kind=Kind.REJECTED, reason=word, close_code=code))
        elif failure.status_code is not None:
            self._set(replace(told, close_code=code))
        else:
            self._set(replace(closed, error=failure.payload, detail=failure.message))

    def no_close_came(self) -> None:
        """Judge by the error frame alone: its close code did not come in time."""
        if self._failure is not None:
            self._set(self._judge_failure(self._failure))

    def ended(self, source: Source, code: int | None = None, detail: str = "") -> None:
        """Take evidence that is no frame of AUI's: a lost connection, a timeout, a local close.

        An error frame that came before is the earlier evidence and decides.
        """
        self.no_close_came()
        self._set(judge(source, code, detail=detail))

    def refused(self, verdict: Verdict) -> None:
        """Take the verdict on an HTTP response: to the WebSocket upgrade, or to the message."""
        self._set(verdict)

    def answered(self, final: Final) -> None:
        """Take the whole answer, where it came in an HTTP response."""
        self.final = final
        self._set(COMPLETED)

    def _take(self, update: Update) -> Update | None:
        if update.task_id is not None and update.task_id != self.task_id:
            self._ignore("an update of another task")
            return None
        self._newest = update
        return update

    def _ignore(self, what: str) -> None:
        self.ignored[what if what in self.ignored or len(self.ignored) < 8 else "and others"] += 1

    def _judge_failure(self, failure: Failure) -> Verdict:
        return judge(
            Source.STATUS, failure.status_code, detail=failure.message, error=failure.payload
        )

    def _set(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = verdict
