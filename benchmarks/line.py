"""A connection to RabbitMQ that costs next to nothing per message: for the load's two ends.

It publishes frames that were marshalled before, and hands on deliveries as bytes, unacked. What it
asks the broker goes through pamqp.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from pamqp import base, commands, frame, header
from pamqp.body import ContentBody

CHANNEL = 1
FRAME_MAX = 131_072
METHOD, HEADER, BODY = 1, 2, 3
DELIVER = b"\x00\x3c\x00\x3c"
_ENVELOPE = struct.Struct(">BHI")

Taker = Callable[[bytes, bytes], None]
"""Takes the routing key and the body of a delivery."""


class LineError(RuntimeError):
    """The broker closed the channel or the connection; the text is its reason."""


class Line(asyncio.Protocol):
    """One connection with one channel; made by :func:`connect`.

    Args:
        take: called with each delivery.
    """

    def __init__(self, take: Taker) -> None:
        self._take = take
        self._transport: asyncio.Transport
        self._buffer = b""
        self._asked: asyncio.Future[base.Frame] | None = None
        self._key = b""
        self._size = 0
        self._parts: list[bytes] = []
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._fail(LineError(f"the connection was lost: {exc}"))
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes: whole frames at a time."""
        if self._buffer:
            data = self._buffer + data
        at, end = 0, len(data)
        while end - at >= 7:
            kind, _, size = _ENVELOPE.unpack_from(data, at)
            after = at + size + 8
            if after > end:
                break
            self._frame(kind, data, at, after)
            at = after
        self._buffer = data[at:]

    def _frame(self, kind: int, data: bytes, at: int, after: int) -> None:
        if kind == BODY:
            self._body(data[at + 7 : after - 1])
        elif kind == HEADER:
            # AMQP 0-9-1, 4.2.6.1: class, weight, body size.
            self._size = int.from_bytes(data[at + 11 : at + 19], "big")
            self._parts = []
            if not self._size:
                self._take(self._key, b"")
        elif data[at + 7 : at + 11] == DELIVER:
            # Consumer tag, delivery tag, redelivered, exchange, routing key.
            place = at + 11
            place += 1 + data[place] + 9
            place += 1 + data[place]
            self._key = data[place + 1 : place + 1 + data[place]]
        else:
            self._method(frame.unmarshal(data[at:after])[2])

    def _body(self, part: bytes) -> None:
        self._size -= len(part)
        if self._size or self._parts:
            self._parts.append(part)
            if self._size:
                return
            part = b"".join(self._parts)
        self._take(self._key, part)

    def _method(self, method: Any) -> None:
        if isinstance(method, commands.Channel.Close | commands.Connection.Close):
            self._fail(LineError(f"{method.reply_code} {method.reply_text}"))
        elif self._asked is not None and not self._asked.done():
            self._asked.set_result(method)

    def _fail(self, error: LineError) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)

    async def ask(self, method: base.Frame | header.ProtocolHeader, channel: int = CHANNEL) -> Any:
        """Send a method, and return the broker's answer.

        Raises:
            LineError: it refused.
        """
        self._asked = asyncio.get_running_loop().create_future()
        self._transport.write(frame.marshal(method, channel))
        try:
            return await self._asked
        finally:
            self._asked = None

    def tell(self, *methods: base.Frame) -> None:
        """Send methods that have no answer."""
        self._transport.write(b"".join(frame.marshal(method, CHANNEL) for method in methods))

    def write(self, marshalled: bytes) -> None:
        """Send what :func:`message` has made."""
        self._transport.write(marshalled)

    async def close(self) -> None:
        """Leave; exclusive queues go too."""
        self._transport.close()
        await self._closed


async def connect(url: str, take: Taker) -> Line:
    """Open a connection and its channel."""
    parts = urlsplit(url)
    login = f"\0{unquote(parts.username or 'guest')}\0{unquote(parts.password or 'guest')}"
    vhost = unquote(parts.path.removeprefix("/")) or "/"
    host = parts.hostname or "localhost"
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(lambda: Line(take), host, parts.port or 5672)
    await line.ask(header.ProtocolHeader(0, 9, 1), 0)
    start = commands.Connection.StartOk({}, "PLAIN", login, "en_US")
    tune = await line.ask(start, 0)
    line.write(
        frame.marshal(commands.Connection.TuneOk(tune.channel_max, FRAME_MAX, heartbeat=0), 0)
    )
    await line.ask(commands.Connection.Open(vhost), 0)
    await line.ask(commands.Channel.Open())
    return line


async def subscribe(line: Line, exchanges: Sequence[str], key: str) -> None:
    """Consume, unacked, what a number of exchanges route by one key."""
    declared = await line.ask(commands.Queue.Declare(queue="", exclusive=True))
    for exchange in exchanges:
        binding = commands.Queue.Bind(queue=declared.queue, exchange=exchange, routing_key=key)
        await line.ask(binding)
    await line.ask(commands.Basic.Consume(queue=declared.queue, no_ack=True))


def message(exchange: str, key: str, body: bytes, job_id: str, headers: Mapping[str, str]) -> bytes:
    """Marshal a persistent message to publish."""
    properties = commands.Basic.Properties(
        content_type="application/json",
        delivery_mode=2,
        message_id=job_id,
        headers=dict(headers),
    )
    parts = [
        frame.marshal(commands.Basic.Publish(exchange=exchange, routing_key=key), CHANNEL),
        frame.marshal(header.ContentHeader(body_size=len(body), properties=properties), CHANNEL),
        frame.marshal(ContentBody(body), CHANNEL),
    ]
    return b"".join(parts)
