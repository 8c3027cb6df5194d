"""A TCP proxy to stand between two parties, which can be cut, frozen, holed and slowed."""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65536


class FaultProxy:
    """Forwards connections on a loopback port to a server, as well as it is allowed to.

    Args:
        url: the server's URL; :attr:`url` is the same by way of the proxy.

    Attributes:
        connections: how many there have been.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._open: set[_Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._reached = asyncio.Event()
        self._passing = asyncio.Event()
        self._passing.set()
        self._swallowing = False
        self._delay = 0.0
        self._left: int | None = None
        self._cut = asyncio.Event()
        self.connections = 0

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
        self._left = None
        self._cut.set()
        for connection in list(self._open):
            connection.reset()

    async def cut_after(self, count: int) -> None:
        """Let so many more bytes pass, whichever way, and reset every connection: in mid-frame."""
        self._cut.clear()
        self._left = count
        try:
            await self._cut.wait()
        finally:
            self._left = None

    def freeze(self) -> None:
        """Hold what is sent, both ways, until :meth:`heal`: then it arrives, late and whole."""
        self._passing.clear()

    def blackhole(self) -> None:
        """Swallow what is sent, both ways, until :meth:`heal`; new connections get nowhere."""
        self._swallowing = True
        self._passing.clear()

    def heal(self) -> None:
        """Let everything pass again; a connection that has lost bytes is beyond repair: reset."""
        self._swallowing = False
        self._delay = 0.0
        self._passing.set()
        for connection in list(self._open):
            if connection.holed:
                connection.reset()

    def latency(self, seconds: float) -> None:
        """Delay what is sent, both ways, until :meth:`heal`."""
        self._delay = seconds

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
        for serving in list(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._reached.set()
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._open.add(connection)
        try:
            await self._passing.wait()
            host, port = self._target.hostname or "localhost", self._target.port or 5672
            there, out = await asyncio.open_connection(host, port)
            connection.writers.append(out)
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._pump(reader, out, connection))
                both_ways.create_task(self._pump(there, writer, connection))
        except* OSError:
            # Nobody is there, or one side was reset: the other learns it the same way.
            connection.reset()
        finally:
            await connection.close()
            self._open.discard(connection)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        connection: "_Connection",
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                if self._swallowing:
                    connection.holed = True
                else:
                    await self._passing.wait()
                    if self._delay:
                        await asyncio.sleep(self._delay)
                    await self._forward(data, sink)
        except OSError:
            # A reset does not get through a line that is down, either.
            await self._passing.wait()
            raise
        await self._passing.wait()
        with suppress(OSError):
            sink.write_eof()

    async def _forward(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        sink.write(data)
        if self._left == 0:
            self.cut()
        await sink.drain()


class _Connection:
    """One connection through the proxy: both its sides, and whether bytes of it are lost."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.holed = False

    def reset(self) -> None:
        for writer in self.writers:
            if not writer.transport.is_closing():
                # Closing with a linger time of zero sends RST instead of FIN (socket(7)).
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with suppress(OSError):
                await writer.wait_closed()
