"""The ways in which a WebSocket to AUI is opened: directly, or through a proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.aui.servers import raw_server, reset

_PROXIES = ("ws_proxy", "socks_proxy", "all_proxy", "http_proxy", "https_proxy", "no_proxy")


@asynccontextmanager
async def opened(way: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have WebSockets opened `direct` or `proxied`, for the length of the context."""
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if way == "direct":
        yield
        return
    async with connect_proxy() as port:
        monkeypatch.setenv("ws_proxy", f"http://127.0.0.1:{port}")
        yield


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[int]:
    """Serve CONNECT on a port; each side hears what becomes of the other one, resets included."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = server.heads[-1].split(b" ", 2)[1].decode().rsplit(":", 1)
        try:
            theirs, to_them = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.write(b"HTTP/1.1 502 Nobody there\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, to_them))
                both.create_task(_pass_on(theirs, writer))
        except* (OSError, RuntimeError):  # uvloop's word for a connection that is closed
            if not writer.transport.is_closing():
                await reset(reader, writer)
        finally:
            to_them.transport.abort()

    async with raw_server(answer) as server:
        yield server.port


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
