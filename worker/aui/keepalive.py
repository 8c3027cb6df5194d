"""Pings the other end of a socket, and notices when nobody is there any more."""

import asyncio
from collections.abc import Callable

from worker.aui import sockets


class Keepalive:
    """The pings of one socket; at most one is unanswered.

    Args:
        ping: sends a ping.
        lost: is called when one was not answered in time.
    """

    __slots__ = ("_loop", "_lost", "_number", "_ping", "_pinged", "_timer", "_waiting")

    def __init__(self, ping: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._ping = ping
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._pinged: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Ping from time to time."""
        self._timer = self._loop.call_later(sockets.KEEPALIVE, self._ring)

    def stop(self) -> None:
        """Ping no more; who waits for an answer need not."""
        if self._timer is not None:
            self._timer.cancel()
        self._answered()

    async def answer(self) -> None:
        """Ping now; return when that is answered, or answers no longer matter."""
        self._waiting = self._loop.create_future()
        self._send()
        await self._waiting

    def ponged(self, payload: bytes | bytearray | memoryview) -> None:
        """Take a pong; one that nobody asked for is none (RFC 6455 section 5.5.3)."""
        if payload == self._pinged:
            self._pinged = None
            self._answered()

    def _ring(self) -> None:
        if self._pinged is None:
            self._send()
            self.start()
        else:
            self._lost()

    def _send(self) -> None:
        self._number += 1
        self._pinged = b"%d" % self._number
        self._ping(self._pinged)

    def _answered(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
