"""One attempt at a turn over one socket: AUI speaks, the turn listens, the clock runs.

What AUI says goes through the turn to who wants it within the callback that brings it. No timer is
set for a frame: one runs for the whole conversation, and when it fires too early it is set again.
"""

import asyncio
from collections.abc import Awaitable, Callable

from websockets.exceptions import ConnectionClosed

from worker.aui.alarms import Alarms
from worker.aui.evidence import take_close
from worker.aui.sockets import Socket
from worker.aui.timeouts import Timeouts, sooner
from worker.core.redact import Redactor
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Kind, Source

CLOSE_CODE_WAIT = 1.0
"""Seconds to wait, after an error frame, for the close code that may weigh more."""
LATE_LOOK = 0.01
"""Seconds in which what has arrived is read, before it is held that nothing has."""
_OF_THE_SOCKET = (Source.CONNECTION_LOST, Source.LOCAL_CLOSE, Source.SERVER_CLOSE)


class Conversation:
    """Listens to a socket until there is a verdict; then it is at its end.

    Args:
        turn: takes what AUI says.
        socket: where it says it.
        put: takes the updates; must not raise.
        timeouts: how long each step may take.
        deadline: when it is cut off, in the event loop's time.
        redactor: applied to every message before anything reads it.
        alarms: ring when the time of a step is over.
    """

    __slots__ = (
        "_alarm",
        "_alarms",
        "_asked_at",
        "_close_by",
        "_deadline",
        "_heard_at",
        "_late",
        "_late_for",
        "_loop",
        "_over",
        "_put",
        "_redactor",
        "_socket",
        "_streaming",
        "_taken",
        "_timeouts",
        "_unheard",
        "turn",
    )

    def __init__(
        self,
        turn: Turn,
        socket: Socket,
        put: Callable[[Update], None],
        timeouts: Timeouts,
        deadline: float,
        redactor: Redactor,
        alarms: Alarms,
    ) -> None:
        self.turn = turn
        self._socket = socket
        self._put = put
        self._timeouts = timeouts
        self._deadline = deadline
        self._redactor = redactor
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._alarms = alarms
        self._alarm: float | None = None
        self._asked_at = self._heard_at = self._loop.time()
        self._close_by: float | None = None
        self._taken = self._streaming = self._late = False
        self._late_for: float | None = None
        self._unheard = True

    @property
    def went_well(self) -> bool:
        """It came to its final, which nothing spoilt: the socket may serve another turn."""
        done = self.turn.verdict is not None and self.turn.verdict.kind is Kind.COMPLETED
        return done and not self.turn.ignored and not self._late and self._taken

    @property
    def was_lost_unheard(self) -> bool:
        """The socket failed before AUI said a word: perhaps it had failed before it was used."""
        verdict = self.turn.verdict
        if verdict is None or not self._unheard:
            return False
        return verdict.source in _OF_THE_SOCKET and verdict.kind is Kind.INTERRUPTED

    def hold(self, request: bytes | None = None) -> Awaitable[None]:
        """Send a request, if there is one; return what ends when there is a verdict.

        It raises whatever `put` raised, which is a bug. Whoever does not wait for the end calls
        :meth:`leave`.
        """
        self._begin(request)
        return self._over

    def leave(self) -> None:
        """Wait for nothing any more."""
        if self._alarm is not None:
            self._alarms.drop(self._alarm, self)

    def heard(self, message: bytes) -> None:
        """Take a message."""
        if self._over.done():
            self._late = True
            return
        self._unheard = False
        self._heard_at = self._loop.time()
        try:
            update = self.turn.receive(self._redactor.data(message))
            if update is not None:
                self._put(update)
        except Exception as bug:
            # The event loop would take it for a lost connection.
            self.leave()
            self._over.set_exception(bug)
            return
        if update is None or not self._streaming:
            self._look()

    def taken(self) -> None:
        """Note that the request has been taken: now it is AUI's turn."""
        if not self._taken:
            self._taken = True
            self._asked_at = self._loop.time()

    def ended(self, closed: ConnectionClosed) -> None:
        """Take the end of the socket."""
        if self.turn.verdict is None:
            take_close(self.turn, closed, self._redactor)
        self._finish()

    def ring(self) -> None:
        """End it if its time is over, once what has arrived by now is read.

        The event loop itself may have been held up, and runs its timers first.
        """
        by, source = self._due()
        if self._loop.time() < by:
            self._set_alarm()
        elif self._late_for != by:
            self._late_for = by
            self._alarm = self._alarms.set(self._loop.time() + LATE_LOOK, self)
        else:
            self.turn.no_close_came()
            if self.turn.verdict is None:
                self.turn.ended(source, detail=self._silence())
            self._finish()

    def _begin(self, request: bytes | None) -> None:
        self._asked_at = self._loop.time()
        if request is not None and self._socket.is_open:
            self.turn.sending(self._socket.clock())
            if self._socket.send(request):
                self.taken()
        # Where it has ended, what AUI said before is still to be heard, and says why.
        self._socket.listen(self)
        if not self._over.done():
            self._set_alarm()

    def _look(self) -> None:
        """Look what a message has changed, other than the time of the last one."""
        turn = self.turn
        if turn.verdict is not None:
            self._finish()
        elif turn.closing:
            if self._close_by is None:
                # From the error frame on: what AUI still says does not put the end off.
                self._close_by = self._heard_at + CLOSE_CODE_WAIT
                self._set_alarm()
        elif turn.started and not self._streaming:
            self._streaming = True
            self._set_alarm()

    def _due(self) -> tuple[float, Source]:
        """Return when the wait is over, and what it means then."""
        if self._close_by is not None:
            return self._close_by, Source.IDLE_TIMEOUT
        if self._streaming:
            by = self._heard_at + self._timeouts.idle
            return sooner(by, Source.IDLE_TIMEOUT, self._deadline)
        by = self._asked_at + self._timeouts.first_text
        return sooner(by, Source.FIRST_TEXT_TIMEOUT, self._deadline)

    def _set_alarm(self) -> None:
        self.leave()
        self._alarm = self._alarms.set(self._due()[0], self)

    def _silence(self) -> str:
        since = self._heard_at if self._streaming else self._asked_at
        seconds = self._loop.time() - since
        if self._taken:
            return f"nothing from AUI for {seconds:.3g} s"
        return f"AUI did not take the request within {seconds:.3g} s"

    def _finish(self) -> None:
        self.leave()
        if not self._over.done():
            self._over.set_result(None)
