"""A WebSocket through a proxy, as ``websockets.connect`` finds and opens it."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, TooManyFragments
from websockets.extensions import ClientExtensionFactory
from websockets.frames import Close, CloseCode
from websockets.protocol import State

from worker.aui import sockets
from worker.aui.sockets import NOBODY, WIRE_LOG, Listener, Socket, ToldTime


class ProxiedSocket:
    """Implements :class:`worker.aui.sockets.Socket`, with a task that reads.

    Args:
        connection: the connection, open.
        alive: it is in there until nothing is left of it.
    """

    def __init__(self, connection: ClientConnection, alive: set[Socket]) -> None:
        self._connection = connection
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._time = ToldTime.of(connection.response, self._loop.time())
        self._listener: Listener = NOBODY
        self._reading: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        alive.add(self)

    @property
    def is_open(self) -> bool:
        """A request can be sent."""
        return self._connection.state is State.OPEN and self._closing is None

    @property
    def is_idle(self) -> bool:
        """It is open, and nothing is under way."""
        return self.is_open and self._sending is None

    def clock(self) -> float | None:
        """Return AUI's time."""
        return self._time.by(self._loop.time())

    def listen(self, listener: Listener) -> None:
        """Tell this listener from now on, beginning with what nobody was told yet."""
        self._listener = listener
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    def send(self, request: bytes) -> bool:
        """Send a text message."""
        self._sending = asyncio.create_task(self._send(request))
        return False

    async def ping(self) -> None:
        """Send a ping; return when it is answered, or the socket has ended."""
        with suppress(ConnectionClosed):
            await (await self._connection.ping())

    def close(self) -> None:
        """Say goodbye, without waiting and telling nobody; hang up if that takes too long."""
        self._listener = NOBODY
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())

    async def closed(self) -> None:
        """Return when nothing is left of the connection."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._connection.recv(decode=False)
                self._listener.heard(message)
        except ConnectionClosed as end:
            closed: ConnectionClosed = end
        except TooManyFragments as error:
            reason = Close(CloseCode.MESSAGE_TOO_BIG, str(error))
            closed = ConnectionClosedError(None, reason, None)
        listener = self._listener
        self.close()
        listener.ended(closed)

    async def _send(self, request: bytes) -> None:
        # Where it has ended, what AUI sent before is still to be read, and says why.
        with suppress(ConnectionClosed):
            await self._connection.send(request, text=True)
            self._sending = None
            self._listener.taken()

    async def _close(self) -> None:
        """The library waits without end for a peer that reads nothing."""
        try:
            if self._sending is not None:
                await _cancelled(self._sending)
            try:
                async with asyncio.timeout(sockets.CLOSE_TIMEOUT):
                    await self._connection.close()
            except TimeoutError:
                self._connection.transport.abort()
                await self._connection.wait_closed()
            if self._reading is not None:
                await _cancelled(self._reading)
        finally:
            self._alive.discard(self)


async def open_proxied(
    url: str,
    headers: Mapping[str, str],
    extensions: Sequence[ClientExtensionFactory],
    max_bytes: int,
    alive: set[Socket],
    tls: ssl.SSLContext | None,
) -> ProxiedSocket:
    """Open a WebSocket as the library does it.

    Raises:
        OSError: there is no way to AUI, or to the proxy.
        WebSocketException: AUI or the proxy did not agree.
        ValueError: the URL is none.
        ImportError: a SOCKS proxy needs the package python-socks.
    """
    connection = await _Connect(
        url,
        additional_headers=headers,
        extensions=extensions,
        open_timeout=None,
        ping_interval=sockets.KEEPALIVE,
        ping_timeout=sockets.KEEPALIVE,
        close_timeout=sockets.CLOSE_TIMEOUT,
        max_size=max_bytes,
        logger=WIRE_LOG,
        ssl=tls,
    )
    return ProxiedSocket(connection, alive)


class _Connect(connect):
    """``websockets.connect`` without redirects: they would carry the key to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
