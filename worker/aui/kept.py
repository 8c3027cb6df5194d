"""The sockets of conversations that pause: each kept for the next message of its own task.

A socket goes to no other task: a late text could then reach it. While it is kept, AUI has nothing
to say on it; if it does say something, it is closed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from worker.aui.sockets import Socket

AT_MOST = 512
"""Twice as many sockets as turns may be open then, by default; the oldest go first."""


class KeptSockets:
    """Keeps the sockets of one network.

    Args:
        seconds: how long each is kept; 0 is not at all.
        at_most: how many; the one kept longest goes first.
    """

    def __init__(self, seconds: float, at_most: int = AT_MOST) -> None:
        self._seconds = seconds
        self._at_most = at_most
        self._loop = asyncio.get_running_loop()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, task_id: str, socket: Socket, final_id: str) -> None:
        """Keep a socket for the next message of its task, or close it.

        Args:
            task_id: the task.
            socket: its socket.
            final_id: the id of the last final that came over it.
        """
        if self._seconds <= 0 or not socket.is_idle:
            socket.close()
            return
        kept = Kept(socket, final_id, self._loop.time() + self._seconds, self._drop(task_id))
        before, self._kept[task_id] = self._kept.pop(task_id, None), kept
        if before is not None:
            before.socket.close()
        socket.listen(kept)
        while len(self._kept) > self._at_most:
            self._close_oldest()
        self._set_timer()

    def take(self, task_id: str) -> "Kept | None":
        """Hand out the socket of a task, if one is kept and still open."""
        kept = self._kept.pop(task_id, None)
        if kept is not None and not kept.socket.is_idle:
            kept.socket.close()
            return None
        return kept

    def clear(self) -> None:
        """Close them all."""
        while self._kept:
            self._close_oldest()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def shut(self) -> None:
        """Close them all, and keep none any more."""
        self._seconds = 0.0
        self.clear()

    def _drop(self, task_id: str) -> Callable[[], None]:
        def drop() -> None:
            self._kept.pop(task_id).socket.close()

        return drop

    def _close_oldest(self) -> None:
        _, kept = self._kept.popitem(last=False)
        kept.socket.close()

    def _set_timer(self) -> None:
        """Ring when the oldest is due; one timer does for all."""
        if self._timer is None and self._kept:
            oldest = next(iter(self._kept.values()))
            self._timer = self._loop.call_at(oldest.until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._close_oldest()
        self._set_timer()


class Kept:
    """A kept socket, which AUI is to leave alone.

    Attributes:
        socket: the socket.
        final_id: the id of the last final that came over it.
        until: when it is closed, in the event loop's time.
    """

    __slots__ = ("_drop", "final_id", "socket", "until")

    def __init__(
        self, socket: Socket, final_id: str, until: float, drop: Callable[[], None]
    ) -> None:
        self.socket = socket
        self.final_id = final_id
        self.until = until
        self._drop = drop

    def heard(self, message: bytes) -> None:
        """Close it: nothing was asked."""
        self._drop()

    def taken(self) -> None:
        """Do nothing."""

    def ended(self, closed: ConnectionClosed) -> None:
        """Forget it."""
        self._drop()
