"""What a WebSocket to AUI is to the worker, however it was opened."""

import logging
from dataclasses import dataclass
from typing import Protocol

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from worker.aui.evidence import time_of

CLOSE_TIMEOUT = 2.0
"""Seconds for the closing handshake; then it is hung up on a peer that does not take part."""
KEEPALIVE = 20.0
"""A ping is sent so often, in seconds, and its pong must come before the next is due."""
WIRE_LOG = logging.getLogger("worker.aui.websocket.wire")


class Listener(Protocol):
    """Who is told what happens on a socket, in the event-loop turn in which it happens."""

    def heard(self, message: bytes) -> None:
        """Take a whole message."""

    def taken(self) -> None:
        """Note that the network has taken the whole request, which it did not at once."""

    def ended(self, closed: ConnectionClosed) -> None:
        """Note, once, that nothing more will be heard, and why."""


class Socket(Protocol):
    """An open WebSocket to AUI."""

    @property
    def is_open(self) -> bool:
        """A request can be sent."""

    @property
    def is_idle(self) -> bool:
        """It is open, and nothing is under way: no part of a message, of AUI's or ours."""

    def clock(self) -> float | None:
        """Return AUI's time, in seconds since 1970, if it has told it; never too late."""

    def listen(self, listener: Listener) -> None:
        """Tell this listener from now on, beginning with what nobody was told yet."""

    def send(self, request: bytes) -> bool:
        """Send a text message, while it is open.

        Returns:
            whether the network has taken all of it; if not, the listener is told when it has.
        """

    async def ping(self) -> None:
        """Send a ping; return when it is answered, or the socket has ended."""

    def close(self) -> None:
        """Say goodbye, without waiting and telling nobody; hang up if that takes too long."""

    async def closed(self) -> None:
        """Return when nothing is left of the connection."""


class Nobody:
    """A listener that does not care."""

    def heard(self, message: bytes) -> None:
        """Do nothing."""

    def taken(self) -> None:
        """Do nothing."""

    def ended(self, closed: ConnectionClosed) -> None:
        """Do nothing."""


NOBODY = Nobody()


@dataclass(frozen=True, slots=True)
class ToldTime:
    """AUI's clock, as its upgrade response showed it; cut to seconds, so never too late.

    Attributes:
        at: what it showed, in seconds since 1970.
        then: when that was, in monotonic seconds.
    """

    at: float | None
    then: float

    @classmethod
    def of(cls, response: Response | None, now: float) -> "ToldTime":
        """Read it off a response that came just now."""
        return cls(None if response is None else time_of(response.headers.get("Date")), now)

    def by(self, now: float) -> float | None:
        """Return what it shows now."""
        return None if self.at is None else self.at + now - self.then
