"""Pings the other end of a socket, and notices when nobody is there any more."""

import asyncio
from typing import Protocol

from worker.aui import sockets
from worker.aui.alarms import Alarms


class Pinging(Protocol):
    """The socket that is kept alive."""

    def send_ping(self, payload: bytes) -> None:
        """Send a ping."""

    def fail(self) -> None:
        """Take it that nobody is there: a ping was not answered in time."""


class Keepalive:
    """The pings of one socket; at most one is unanswered."""

    __slots__ = ("_alarms", "_due", "_number", "_pinged", "_socket", "_waiting")

    def __init__(self, socket: Pinging, alarms: Alarms) -> None:
        self._socket = socket
        self._alarms = alarms
        self._number = 0
        self._pinged: bytes | None = None
        self._due: float | None = None
        self._waiting: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Ping from time to time."""
        now = asyncio.get_running_loop().time()
        self._due = self._alarms.set(now + sockets.KEEPALIVE, self)

    def stop(self) -> None:
        """Ping no more; who waits for an answer need not."""
        if self._due is not None:
            self._alarms.drop(self._due, self)
        self._answered()

    async def answer(self) -> None:
        """Ping now; return when that is answered, or answers no longer matter."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._send()
        await self._waiting

    def ponged(self, payload: bytes | bytearray | memoryview) -> None:
        """Take a pong; one that nobody asked for is none (RFC 6455 section 5.5.3)."""
        if payload == self._pinged:
            self._pinged = None
            self._answered()

    def ring(self) -> None:
        """Ping, unless the last ping is unanswered."""
        if self._pinged is None:
            self._send()
            self.start()
        else:
            self._socket.fail()

    def _send(self) -> None:
        self._number += 1
        self._pinged = b"%d" % self._number
        self._socket.send_ping(self._pinged)

    def _answered(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
