"""Small servers on loopback that do to a client what no sandbox would."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.utils import accept_key

from tests.conformance.script import PATIENCE
from worker.aui.network import Network, WsAuth
from worker.core.redact import Redactor

KEY = "API_KEY_a&b#c%d+e/f"
"""A key with every letter that means something in a URL."""

REDACTOR = Redactor([KEY])

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """A TCP server: where it is, and the head of each request that came."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Only of a deaf server: the first byte after the upgrade has come."""

    def network(self, ws_auth: WsAuth = "query", key: str = KEY) -> Network:
        """Return a network that lives here."""
        return Network("default", key, f"http://127.0.0.1:{self.port}/api", ws_auth=ws_auth)


@asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[RawServer]:
    """Serve: `answer` is called once the head of a request is there, and then hung up."""
    server = RawServer()
    serving: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            server.heads.append(await reader.readuntil(b"\r\n\r\n"))
            server.asked.set()
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            serving.discard(task)
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await listener.wait_closed()


def saying(raw: bytes) -> Answer:
    """Answer with these bytes."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def response(
    status: int, body: bytes = b"", *headers: str, content_type: str = "application/json"
) -> Answer:
    """Answer with an HTTP response."""
    lines = [
        f"HTTP/1.1 {status} Status",
        f"Content-Length: {len(body)}",
        f"Content-Type: {content_type}",
        *headers,
    ]
    return saying("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def in_turn(*answers: Answer) -> Answer:
    """Answer each request differently."""
    left = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(left)(reader, writer)

    return answer


async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Do not answer, for longer than any test waits."""
    await asyncio.sleep(2 * PATIENCE)


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection."""
    reset_socket(writer.transport)


def reset_socket(transport: asyncio.WriteTransport) -> None:
    """Close a connection with a reset."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def agreement(head: bytes) -> bytes:
    """Return the response that agrees to an upgrade."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert key is not None
    upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    accept = f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept_key(key[1].decode())}\r\n"
    return f"{upgrade}{accept}\r\n".encode()


@asynccontextmanager
async def upgraded(answer: Answer) -> AsyncIterator[RawServer]:
    """Serve WebSockets by hand: `answer` is called once the upgrade is agreed to."""

    async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(agreement(server.heads[-1]))
        await answer(reader, writer)

    async with raw_server(agree) as server:
        yield server


@asynccontextmanager
async def deaf_server() -> AsyncIterator[RawServer]:
    """Serve WebSockets without reading what comes, so that a sender cannot go on for long."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        server.begun.set()
        await never(reader, writer)

    async with upgraded(answer) as server:
        yield server


@asynccontextmanager
async def websocket_server(
    talk: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[RawServer]:
    """Serve WebSockets: `talk` is called with each, which is closed when it returns."""
    server = RawServer()
    async with serve(talk, "127.0.0.1", 0, close_timeout=0.2) as listener:
        server.port = next(iter(listener.sockets)).getsockname()[1]
        yield server
