"""A fast fake of AUI's WebSocket: no parsing or marshalling but once per kind of load.

``python -m benchmarks.load_server`` prints its port. It speaks the documents' dialect; each
message says in its text how it is to be answered (:mod:`benchmarks.load`). Besides AUI's paths
there are ``/sent`` (when each update was handed to its socket, since asked last), ``/release``,
and ``/v1/traces``, which takes OpenTelemetry's spans and forgets them.
"""

import asyncio
import base64
import hashlib
import json
import sys
import time
from collections import deque
from email.utils import formatdate
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from benchmarks.answers import CLOSE, PING, PONG, TEXT, Answer, World, frame

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Connection(asyncio.Protocol):
    """One connection: HTTP until it is upgraded, then messages in and answers out, in turn."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer = b""
        self._upgraded = False
        self._requests: deque[bytes] = deque()
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer += data
        while self._buffer and (self._frame() if self._upgraded else self._request()):
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what is being said."""
        if self._answer is not None:
            self._answer.stop()
        self._answer = None
        self._requests.clear()

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        self._world.stalls += 1
        if self._answer is not None:
            self._answer.paused = True

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if self._answer is not None:
            self._answer.resume()

    def _request(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        size = int(headers.get("content-length", "0"))
        if len(rest) < size:
            return False
        self._buffer = rest[size:]
        if "sec-websocket-key" in headers:
            self._upgrade(headers["sec-websocket-key"])
        else:
            body = respond(self._world, method, target, rest[:size])
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %s\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (_date(int(time.time())), len(body), body)
            )
        return True

    def _upgrade(self, key: str) -> None:
        self._upgraded = True
        self._world.sockets += 1
        digest = hashlib.sha1(key.encode() + MAGIC, usedforsecurity=False).digest()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Date: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n"
            % (_date(int(time.time())), base64.b64encode(digest))
        )

    def _frame(self) -> bool:
        """Take one frame of the client's: masked, never fragmented (RFC 6455, 5.2)."""
        data = self._buffer
        if len(data) < 6:
            return False
        size, at = data[1] & 0x7F, 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        end = at + 4 + size
        if len(data) < end:
            return False
        self._buffer = data[end:]
        self._take(data[0] & 0x0F, _unmasked(data[at : at + 4], data[at + 4 : end]))
        return True

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._requests.append(payload)
            if self._answer is None:
                self._next()
        elif opcode == PING:
            self._transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self._transport.write(frame(CLOSE, payload[:2]))
            self._transport.close()

    def _next(self) -> None:
        self._answer = None
        if self._requests:
            self._answer = Answer(
                self._world, self._transport, self._requests.popleft(), self._next
            )


def respond(world: World, method: str, target: str, body: bytes) -> bytes:
    """Answer an HTTP request."""
    parts = urlsplit(target)
    if parts.path == "/sent":
        sent = {token: list(times) for token, times in world.sent.items()}
        told = {"sent": sent, "stalls": world.stalls, "sockets": world.sockets}
        world.sent, world.stalls, world.sockets = {}, 0, 0
        return json.dumps(told).encode()
    if parts.path == "/release":
        held, world.held = world.held, []
        for go_on in held:
            go_on()
        return json.dumps({"released": len(held)}).encode()
    if parts.path.endswith("/messages"):
        task_id = parts.path.rsplit("/", 2)[1]
        return b"[" + b",".join(world.histories.get(task_id, ())) + b"]"
    if parts.path == "/v1/traces":
        return b""
    if method == "POST":
        return json.dumps(_task(json.loads(body)["user_id"])).encode()
    user = parse_qs(parts.query).get("user_id", [""])[0]
    tasks: list[dict[str, Any]] = [] if user.startswith("aui-worker") else [_task(user)]
    return json.dumps({"tasks": tasks, "total": len(tasks), "page": 1, "size": 50}).encode()


def _task(user: str) -> dict[str, Any]:
    return {
        "id": f"task-of-{user}",
        "user_id": user,
        "title": "A load",
        "welcome_message": None,
        "followup_suggestions": [],
    }


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    size = len(payload)
    masks = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(size, "big")


async def _serve() -> None:
    world = World()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(world), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # It ends with the pipe from who started it.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
