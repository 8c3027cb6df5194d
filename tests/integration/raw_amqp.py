"""A producer that writes AMQP frames by hand, to publish what no client library would."""

import asyncio
import struct
from urllib.parse import urlsplit

CHANNEL = 1
METHOD, HEADER, BODY = 1, 2, 3
CONTENT_TYPE, CONTENT_ENCODING, HEADERS, CORRELATION_ID = 1 << 15, 1 << 14, 1 << 13, 1 << 10
MESSAGE_ID, TIMESTAMP, TYPE, APP_ID = 1 << 7, 1 << 6, 1 << 5, 1 << 3


def short(raw: bytes) -> bytes:
    """Return a short string."""
    return bytes([len(raw)]) + raw


def long(raw: bytes) -> bytes:
    """Return a long string, or the body of a table or array."""
    return struct.pack(">I", len(raw)) + raw


async def publish(
    url: str, exchange: str, key: bytes, body: bytes, flags: int = 0, properties: bytes = b""
) -> None:
    """Publish one message with exactly these properties, and wait for its confirm."""
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port)

    def send(kind: int, channel: int, payload: bytes) -> None:
        writer.write(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    async def answer() -> bytes:
        _, _, size = struct.unpack(">BHI", await reader.readexactly(7))
        return (await reader.readexactly(size + 1))[:4]

    login = b"\0" + (target.username or "guest").encode() + b"\0"
    login += (target.password or "guest").encode()
    vhost = target.path.removeprefix("/").encode() or b"/"
    writer.write(b"AMQP\0\0\x09\x01")
    await answer()
    send(
        METHOD,
        0,
        struct.pack(">HHI", 10, 11, 0) + short(b"PLAIN") + long(login) + short(b"en_US"),
    )
    await answer()
    send(METHOD, 0, struct.pack(">HHHIH", 10, 31, 2047, 131072, 0))
    send(METHOD, 0, struct.pack(">HH", 10, 40) + short(vhost) + b"\0\0")
    await answer()
    send(METHOD, CHANNEL, struct.pack(">HH", 20, 10) + b"\0")
    await answer()
    send(METHOD, CHANNEL, struct.pack(">HH", 85, 10) + b"\0")
    await answer()
    send(
        METHOD,
        CHANNEL,
        struct.pack(">HHH", 60, 40, 0) + short(exchange.encode()) + short(key) + b"\0",
    )
    send(HEADER, CHANNEL, struct.pack(">HHQH", 60, 0, len(body), flags) + properties)
    send(BODY, CHANNEL, body)
    assert await answer() == struct.pack(">HH", 60, 80)
    writer.close()
    await writer.wait_closed()
