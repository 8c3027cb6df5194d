"""A uvicorn without its process manners, in the event loop of whoever has something to tell.

No signal handlers, no log configuration, no access log; each connection is answered once and then
closed, so that none is left when the worker ends. Clients that are slow, silent or many cost
nothing but their own answer: a connection lives for seconds, and of too many the oldest goes.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from worker.core.errors import ConfigurationError

ANSWERED_WITHIN = 10.0
"""Seconds from a connection's beginning to its end, whatever its client does."""
MOST_CONNECTIONS = 64

log = logging.getLogger(__name__)
_wire = logging.getLogger(f"{__name__}.wire")


class _Connection(H11Protocol):
    """One connection, for one request."""

    def __init__(
        self, config: Config, state: ServerState, lasting: dict["_Connection", None]
    ) -> None:
        super().__init__(config, state, {})
        self.logger = _wire
        self.access_log = False
        self._lasting = lasting
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the oldest connection makes room if there are too many."""
        super().connection_made(transport)
        self._end = self.loop.call_later(ANSWERED_WITHIN, transport.abort)
        self._lasting[self] = None
        if len(self._lasting) > MOST_CONNECTIONS:
            next(iter(self._lasting)).cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._end is not None:
            self._end.cancel()
        self._lasting.pop(self, None)
        super().connection_lost(exc)

    def cut(self) -> None:
        """Hang up."""
        self._lasting.pop(self, None)
        self.transport.abort()


@asynccontextmanager
async def serving(application: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve an application for the length of the context.

    Args:
        application: answers at once.
        host: the address to listen on.
        port: the port; 0 for any free one.

    Returns:
        the port.

    Raises:
        ConfigurationError: the address or the port is not to be had.
    """
    # A client's mistakes are not the worker's to tell; what fails in a page is an error.
    _wire.setLevel(logging.ERROR)
    config = Config(
        application,
        interface="asgi3",
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()
    state.default_headers = [(b"connection", b"close")]
    lasting: dict[_Connection, None] = {}
    listener = await _listen(lambda: _Connection(config, state, lasting), host, port)
    bound: int = listener.sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    log.info("http on %s:%d", shown, bound)
    try:
        yield bound
    finally:
        listener.close()
        for connection in list(lasting):
            connection.cut()
        # A page that was being sent to a slow client ends with its connection.
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _listen(connection: Callable[[], _Connection], host: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(connection, host, port)
    except OSError as error:
        wrong = {
            errno.EADDRINUSE: f"WORKER_HTTP_PORT: {port} is taken (0 takes any free one)",
            errno.EACCES: f"WORKER_HTTP_PORT: {port} is not to be had without more rights",
        }
        elsewhere = f"WORKER_HTTP_HOST: {host} is no address of this machine"
        raise ConfigurationError(wrong.get(error.errno or 0, elsewhere)) from None
