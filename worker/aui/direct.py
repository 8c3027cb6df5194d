"""A WebSocket without a task, a queue or a buffer between AUI and who listens.

websockets' own sans-I/O protocol on a transport of the event loop: what arrives is told within
the callback that brings it.
"""

import asyncio
from collections.abc import Mapping
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosedError
from websockets.frames import BINARY, CONT, PONG, TEXT, CloseCode, Frame
from websockets.http11 import USER_AGENT, Response
from websockets.protocol import Event, State

from worker.aui import sockets
from worker.aui.alarms import Alarms
from worker.aui.framing import Framing, write_out
from worker.aui.keepalive import Keepalive
from worker.aui.sockets import NOBODY, Listener, Socket, ToldTime

WRITE_LIMIT = 32 * 1024
"""Bytes that may wait to be sent before a request counts as not taken."""


class DirectSocket(asyncio.Protocol):
    """Implements :class:`worker.aui.sockets.Socket`.

    Args:
        wire: the protocol, about to connect.
        headers: more headers of the upgrade request.
        alive: it is in there from when it is connected until nothing is left of it.
        alarms: ring for its pings.
    """

    __slots__ = (
        "_alive",
        "_closing",
        "_early",
        "_framing",
        "_headers",
        "_keepalive",
        "_listener",
        "_loop",
        "_lost",
        "_opened",
        "_over",
        "_parts",
        "_paused",
        "_time",
        "_transport",
        "_wire",
    )

    def __init__(
        self, wire: ClientProtocol, headers: Mapping[str, str], alive: set[Socket], alarms: Alarms
    ) -> None:
        self._wire = wire
        self._headers = headers
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._time: ToldTime
        self._opened: asyncio.Future[None] | None = self._loop.create_future()
        self._early: list[bytes] | None = []
        self._listener: Listener = NOBODY
        self._parts: bytearray | None = None
        self._over = self._paused = False
        self._lost: asyncio.Future[None] | None = None
        self._framing = Framing(wire, self)
        self._keepalive = Keepalive(self, alarms)
        self._closing: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """A request can be sent."""
        return self._wire.state is State.OPEN and not self._transport.is_closing()

    @property
    def is_idle(self) -> bool:
        """It is open, and nothing is under way."""
        return self.is_open and self._framing.is_between and not self._paused

    def clock(self) -> float | None:
        """Return AUI's time."""
        return self._time.by(self._loop.time())

    async def opened(self) -> None:
        """Return when it is open.

        Raises:
            InvalidHandshake: AUI did not agree to it; nothing is left of the connection then.
        """
        assert self._opened is not None  # it is waited for once
        try:
            await self._opened
        except BaseException:
            self._transport.abort()
            raise
        finally:
            self._opened = None

    def listen(self, listener: Listener) -> None:
        """Tell this listener from now on, beginning with what nobody was told yet."""
        self._listener = listener
        early, self._early = self._early or [], None
        for message in early:
            listener.heard(message)
        self._look()

    def send(self, request: bytes) -> bool:
        """Send a text message."""
        self._wire.send_text(request)
        self._flush()
        return not self._paused

    async def ping(self) -> None:
        """Send a ping; return when it is answered, or the socket has ended."""
        if self._wire.state is State.OPEN:
            await self._keepalive.answer()

    def close(self) -> None:
        """Say goodbye, without waiting and telling nobody; hang up if that takes too long."""
        self._listener, self._early = NOBODY, None
        if self._wire.state is State.OPEN:
            self._wire.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        elif self._wire.state is State.CONNECTING:
            self._transport.abort()
        self._look()

    async def closed(self) -> None:
        """Return when nothing is left of the connection."""
        if self._lost is None:
            self._lost = self._loop.create_future()
        await asyncio.shield(self._lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._alive.add(self)
        self._transport.set_write_buffer_limits(WRITE_LIMIT)
        request = self._wire.connect()
        request.headers.update(self._headers)
        request.headers.setdefault("User-Agent", USER_AGENT)
        self._wire.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take what arrives."""
        self._framing.feed(data)

    def eof_received(self) -> None:
        """Take the end of what arrives."""
        self._wire.receive_eof()
        self.take()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self._wire.receive_eof()
        self.take()
        if self._closing is not None:
            self._closing.cancel()
        if self._lost is None:
            self._lost = self._loop.create_future()
        self._lost.set_result(None)
        self._alive.discard(self)

    def pause_writing(self) -> None:
        """Note that the network takes no more."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that the network has taken enough."""
        self._paused = False
        self._listener.taken()

    def tell(self, message: bytes) -> None:
        """Tell the listener a message; keep it as long as there is none."""
        if self._early is None:
            self._listener.heard(message)
        else:
            self._early.append(message)

    def take(self) -> None:
        """Take what the wire has read."""
        for event in self._wire.events_received():
            if type(event) is Frame:
                self._take_frame(event)
            else:
                self._take_response(event)
        self._flush()
        if self._wire.state is not State.OPEN:
            self._look()

    def send_ping(self, payload: bytes) -> None:
        """Send a ping."""
        self._wire.send_ping(payload)
        self._flush()

    def fail(self) -> None:
        """Take it that nobody is there."""
        self._wire.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._flush()
        self._look()

    def _take_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is TEXT or opcode is BINARY or opcode is CONT:
            parts = self._parts = self._parts or bytearray()
            parts += frame.data
            if frame.fin:
                self._parts = None
                self.tell(bytes(parts))
        elif opcode is PONG:
            self._keepalive.ponged(frame.data)

    def _take_response(self, response: Event) -> None:
        assert isinstance(response, Response)  # what else is no frame
        self._time = ToldTime.of(response, self._loop.time())
        opened = self._opened
        if self._wire.handshake_exc is None and opened is not None and not opened.done():
            response.headers.clear()  # the wire keeps the response for as long as it lives
            self._keepalive.start()
            opened.set_result(None)

    def _look(self) -> None:
        """Look whether it has ended; tell that once."""
        refusal, opened = self._wire.handshake_exc, self._opened
        if refusal is not None and opened is not None and not opened.done():
            opened.set_exception(refusal)
        if self._over or self._wire.state in (State.CONNECTING, State.OPEN):
            return
        self._keepalive.stop()
        if self._early is None:
            self._over, wire = True, self._wire
            listener, self._listener = self._listener, NOBODY
            listener.ended(
                ConnectionClosedError(wire.close_rcvd, wire.close_sent, wire.close_rcvd_then_sent)
            )

    def _flush(self) -> None:
        """Write what there is to be written; wait for the end for a bounded time."""
        write_out(self._wire, self._transport)
        if self._closing is None and self._wire.close_expected():
            self._closing = self._loop.call_later(sockets.CLOSE_TIMEOUT, self._transport.abort)
