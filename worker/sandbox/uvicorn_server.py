"""A uvicorn without its process manners: no signals, no log configuration, a fast stop."""

import asyncio
import socket
import struct
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from worker.sandbox.redaction import sandbox_log

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not bound
_MAX_FRAME_BYTES = 64 * 1024 * 1024
_KEEP_ALIVE_SECONDS = 60


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which logs the query string, on a log that hides the key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = sandbox_log()
        self.conn.logger = self.logger
        # At DEBUG websockets prints headers and the ends of frames, where a key may sit cut off
        # from the name that would give it away.
        self.conn.debug = False

    async def send(self, message: Any) -> None:
        """Sends an ASGI event; a denial response ends the handshake, which uvicorn forgets."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True


class _Http(H11Protocol):
    """uvicorn's HTTP; an application finds the socket's transport in `scope["state"]`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = sandbox_log()
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remembers the transport, for this connection and for the WebSocket it may become."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def drop_connection(scope: Scope, *, reset: bool) -> None:
    """Ends a connection of this server without a goodbye.

    What was sent before arrives. The peer then sees the end of the stream (a WebSocket client:
    1006, no close frame), or with `reset` a TCP reset.
    """
    transport: asyncio.Transport = scope["state"]["transport"]
    if not reset:
        transport.close()
        return
    # Closing with a linger time of zero sends RST instead of FIN (socket(7), SO_LINGER).
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


class Server:
    """Serves one ASGI application on one address, from `start` to `stop`, again and again."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._config = Config(
            _leave_quietly(app),
            interface="asgi3",
            http=_Http,
            ws=_WebSocket,
            ws_max_size=_MAX_FRAME_BYTES,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            lifespan="off",
            log_config=None,
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()
        self._listener: asyncio.Server | None = None
        self._tick: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """`host:port` as a client on this machine writes it."""
        host = _WILDCARDS.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def open_sockets(self) -> int:
        """How many WebSocket connections there are."""
        return sum(isinstance(one, _WebSocket) for one in self._state.connections)

    async def start(self) -> None:
        """Listens; port 0 becomes the one the system chose, and stays it for the next start.

        Raises OSError, which names the address, when it cannot be had.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Http(config=self._config, server_state=self._state, app_state={}),
            self.host,
            self.port,
            backlog=self._config.backlog,
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._keep_date()

    async def stop(self) -> None:
        """Closes every connection (WebSockets with 1012, service restart) and ends every turn.

        Nothing of the server is left on the loop. A second stop does nothing.
        """
        if self._listener is None or self._tick is None:
            return
        self._tick.cancel()
        listener, self._listener = self._listener, None
        await _close_listener(listener)
        for connection in list(self._state.connections):
            if isinstance(connection, _WebSocket) and not connection.transport.is_closing():
                connection.shutdown()
        await asyncio.sleep(0)
        # An HTTP connection, or a WebSocket whose peer does not read, ends without ceremony.
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        requests = list(self._state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)

    def _keep_date(self) -> None:
        # RFC 9110 section 6.6.1: a server with a clock sends Date. AUI does, and clients may
        # measure their clock's skew with it.
        # In place, for whoever holds the list: an answer that took long is dated when it is sent.
        self._state.default_headers[:] = [(b"date", formatdate(usegmt=True).encode())]
        self._tick = asyncio.get_running_loop().call_later(1.0, self._keep_date)


async def _close_listener(listener: asyncio.Server) -> None:
    # CPython 3.11 fails an assertion over a connection that was accepted in the very turn of the
    # loop in which its server closes, and never closes it: its client would wait for nothing.
    loop = asyncio.get_running_loop()
    for listening in listener.sockets:
        loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)
    listener.close()


def _leave_quietly(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            # Only `Server.stop` cancels requests; uvicorn would log each as an error.
            return

    return wrapped
