"""A TCP proxy that can be cut, to stand between a worker and its broker."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards connections on a loopback port to a server, until :meth:`cut`.

    Args:
        url: the server's URL; :attr:`url` is the same by way of the proxy.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.connections = 0
        self._reached = asyncio.Event()

    @property
    def url(self) -> str:
        """The URL of the server by way of the proxy."""
        host, port = self._server.sockets[0].getsockname()[:2]
        credentials = self._target.netloc.rpartition("@")[0]
        netloc = f"{credentials}@{host}:{port}" if credentials else f"{host}:{port}"
        return urlunsplit(self._target._replace(netloc=netloc))

    async def reached(self) -> None:
        """Wait for the next connection."""
        self._reached.clear()
        await self._reached.wait()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.cut()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._reached.set()
        host, port = self._target.hostname or "localhost", self._target.port or 5672
        there, out = await asyncio.open_connection(host, port)
        self._writers |= {writer, out}
        for source, sink in ((reader, out), (there, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        self._writers.discard(sink)
        sink.transport.abort()
