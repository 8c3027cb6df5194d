"""Whatever the other end of a socket does, the conversation ends in a verdict, and is over."""

import asyncio
import struct

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode

from tests.conformance.script import PATIENCE, failing, final, updating
from tests.unit.aui.servers import (
    KEY,
    Answer,
    never,
    raw_server,
    reset,
    reset_socket,
    saying,
    upgraded,
    websocket_server,
)
from tests.unit.aui.talk import MAX_BYTES, hear, keeping, request_of, sessions_of, talk
from worker.aui.network import Network
from worker.aui.timeouts import Timeouts
from worker.core.verdict import COMPLETED, Kind, Source

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way"), pytest.mark.timeout(15)]

SHORT = 0.05
A_WHILE = 0.2
SOON = Timeouts(first_text=0.5, idle=0.5)


def text(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """Return a frame."""
    return Frame(opcode, data, fin).serialize(mask=False)


def announced(size: int) -> bytes:
    """Return the header of a text frame of that size."""
    return struct.pack("!BBQ", 0x81, 127, size)


HI = text(final("Hi"))
PIECES = [text(b"", fin=False)] + [
    text(final("Hi")[n : n + 1], Opcode.CONT, fin=False) for n in range(len(final("Hi")))
]
IN_PIECES = text(b"", Opcode.PING).join([*PIECES, text(b"", Opcode.CONT)])


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not give a peer that does not take part two seconds for its goodbye."""
    monkeypatch.setattr("worker.aui.sockets.CLOSE_TIMEOUT", SHORT)


@pytest.mark.parametrize(
    ("raw", "kind", "reason"),
    [
        (b"\xff\xfe\xfd" * 500, Kind.INTERRUPTED, "connection_lost"),
        (b"HTTP/1.1 200 OK\r\n\r\n", Kind.INTERRUPTED, "connection_lost"),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=True), Kind.INTERRUPTED, "connection_lost"),
        (text(b"{}", Opcode.CONT), Kind.INTERRUPTED, "connection_lost"),
        (text(b"x" * 10, Opcode.CLOSE)[:3] + b"\x03", Kind.INTERRUPTED, "connection_lost"),
        (b"\x88\x01\x03", Kind.INTERRUPTED, "connection_lost"),
        (b"\x88\x02\x03\xed", Kind.INTERRUPTED, "connection_lost"),
        (b"\x88\x00", Kind.INTERRUPTED, "connection_lost"),
        (b"\x88\x02\x03\xf0", Kind.REJECTED, "policy_violation"),
        (HI[:-1], Kind.INTERRUPTED, "connection_lost"),
        (HI[:1], Kind.INTERRUPTED, "connection_lost"),
        (b"", Kind.INTERRUPTED, "connection_lost"),
        (text(b"\xff\xfe"), Kind.INTERRUPTED, "garbage_frame"),
        (text(b"") + HI, Kind.INTERRUPTED, "garbage_frame"),
        (announced(2**62), Kind.REJECTED, "reply_too_large"),
        (announced(MAX_BYTES + 1), Kind.REJECTED, "reply_too_large"),
        (
            text(b"x" * MAX_BYTES, fin=False) + text(b"x", Opcode.CONT),
            Kind.REJECTED,
            "reply_too_large",
        ),
        (text(failing(503)) + b"\xff\xff", Kind.INTERRUPTED, "upstream_error"),
        (HI + HI, Kind.COMPLETED, "completed"),
        (HI + b"\xff\xff", Kind.COMPLETED, "completed"),
        (text(final("Hi"), Opcode.BINARY), Kind.COMPLETED, "completed"),
        (text(b"are you there?", Opcode.PING) * 1000 + HI, Kind.COMPLETED, "completed"),
        (text(b"what?", Opcode.PONG) * 10 + HI, Kind.COMPLETED, "completed"),
        (IN_PIECES, Kind.COMPLETED, "completed"),
        (text(final("x" * (MAX_BYTES - 200))), Kind.COMPLETED, "completed"),
    ],
    ids=range(25),
)
async def test_whatever_bytes_come_there_is_a_verdict(raw: bytes, kind: Kind, reason: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(raw)
        await writer.drain()

    async with upgraded(answer) as server:
        heard = await talk(server.network())
    assert (heard.verdict.kind, heard.verdict.reason) == (kind, reason)
    assert heard.turn.maybe_sent


@pytest.mark.parametrize("raw", [HI[:-1], announced(MAX_BYTES), text(b"{", fin=False), b"\x81"])
async def test_half_a_message_is_none_and_puts_nothing_off(raw: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await never(reader, writer)

    async with upgraded(answer) as server:
        heard = await talk(server.network(), timeouts=SOON)
    assert heard.verdict.source is Source.FIRST_TEXT_TIMEOUT


async def test_an_answer_that_comes_byte_by_byte_is_an_answer() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in text(updating("H")) + HI + text(b"\x03\xe8", Opcode.CLOSE):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with upgraded(answer) as server:
        heard = await talk(server.network())
    assert (heard.verdict, heard.texts) == (COMPLETED, ["H"])


@pytest.mark.parametrize("before", [b"", HI[:-1], text(updating("Well"))])
async def test_a_reset_is_a_lost_connection_at_whatever_stage(before: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(before)
        await writer.drain()
        await reset(reader, writer)

    async with upgraded(answer) as server:
        heard = await talk(server.network())
    assert (heard.verdict.kind, heard.verdict.reason) == (Kind.INTERRUPTED, "connection_lost")


@pytest.mark.parametrize(
    "answer",
    [
        saying(b"HTTP/1.1 401 No\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 10),
        saying(b"HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nno"),
        saying(b"HTTP/1.1 401 No\r\n\r\n" + b"x" * 3 * 1024 * 1024),
        saying(b"HTTP/1.1 101 Fine\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        saying(b"HTTP/1.1 101 Fine\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
        saying(b"\x00" * 100_000),
        saying(b"\r\n\r\n\r\n"),
    ],
    ids=range(7),
)
async def test_a_response_without_measure_is_no_connection(answer: Answer) -> None:
    async with raw_server(answer) as server:
        heard = await talk(server.network())
    assert heard.verdict.reason == "connection_failed"
    assert not heard.turn.maybe_sent


async def test_what_unfolds_beyond_the_limit_is_too_large() -> None:
    async def server_side(socket: ServerConnection) -> None:
        assert socket.protocol.extensions, "no compression was agreed on"
        await socket.send("x" * 4 * MAX_BYTES)

    async with websocket_server(server_side) as server:
        heard = await talk(server.network())
    assert heard.verdict.reason == "reply_too_large"


async def test_a_compressed_answer_is_heard_text_by_text() -> None:
    texts = ["word " * n for n in range(1, 40)]

    async def server_side(socket: ServerConnection) -> None:
        async for _ in socket:
            for one in texts:
                await socket.send(updating(one).decode())
            await socket.send(final(texts[-1], id=f"msg_{len(heard)}").decode())

    heard: list[list[str]] = []
    async with (
        websocket_server(server_side) as server,
        sessions_of(keeping(server.network())) as sessions,
    ):
        for _ in range(2):
            request = request_of("t", "hello " * 1000)
            heard.append((await hear(sessions, request)).texts)
    assert heard == [texts, texts]


async def test_a_peer_that_answers_no_ping_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.aui.sockets.KEEPALIVE", SHORT)
    async with upgraded(never) as server:
        heard = await talk(server.network())
    assert (heard.verdict.source, heard.verdict.code) == (Source.LOCAL_CLOSE, 1011)
    assert (heard.verdict.kind, heard.verdict.reason) == (Kind.INTERRUPTED, "connection_lost")


async def test_a_peer_that_answers_pings_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def server_side(socket: ServerConnection) -> None:
        await asyncio.sleep(3.5 * A_WHILE)
        await socket.send(final("Hi").decode())

    monkeypatch.setattr("worker.aui.sockets.KEEPALIVE", A_WHILE)
    async with websocket_server(server_side) as server:
        heard = await talk(server.network())
    assert heard.verdict is COMPLETED


async def test_pings_of_the_peer_are_answered_while_it_thinks() -> None:
    async def server_side(socket: ServerConnection) -> None:
        async with asyncio.timeout(PATIENCE):
            await (await socket.ping(b"are you there?"))
        await socket.send(final("Hi").decode())

    async with websocket_server(server_side) as server:
        assert (await talk(server.network())).verdict is COMPLETED


async def test_a_peer_that_never_says_goodbye_is_hung_up_on() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HI)
        await never(reader, writer)

    async with upgraded(answer) as server, asyncio.timeout(PATIENCE):
        assert (await talk(server.network())).verdict is COMPLETED


async def test_a_peer_that_closes_and_stays_is_hung_up_on(way: str) -> None:
    """Through a proxy, the library waits for it to leave, for as long as it may."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text(b"\x03\xe9", Opcode.CLOSE))
        await never(reader, writer)

    async with upgraded(answer) as server, asyncio.timeout(PATIENCE):
        heard = await talk(server.network(), timeouts=SOON)
    assert heard.verdict.close_code == (1001 if way == "direct" else None)


async def test_half_a_message_behind_the_final_closes_the_socket(way: str) -> None:
    """Through a proxy it is the library's, which does not tell."""
    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(HI + HI[:2])
        while await reader.read(1000):
            pass
        closed.set()

    async with upgraded(answer) as server, sessions_of(keeping(server.network())) as sessions:
        assert (await hear(sessions)).verdict is COMPLETED
        if way == "direct":
            async with asyncio.timeout(PATIENCE):
                await closed.wait()


async def test_a_peer_that_does_not_agree_in_time_is_hung_up_on_at_once() -> None:
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        left.set()

    timeouts = Timeouts(connect=0.5)
    async with (
        raw_server(answer) as server,
        sessions_of(server.network(), timeouts=timeouts) as sessions,
    ):
        assert (await hear(sessions)).verdict.source is Source.CONNECT_TIMEOUT
        async with asyncio.timeout(PATIENCE):
            await left.wait()


async def test_a_probe_whose_ping_is_answered_by_a_close_has_failed() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(text(b"\x03\xf5", Opcode.CLOSE))
        await writer.drain()

    async with upgraded(answer) as server, sessions_of(server.network()) as sessions:
        verdict = await sessions.probe()
    assert (verdict.reason, verdict.close_code) == ("try_again_later", 1013)


async def test_connections_that_are_reset_as_soon_as_they_are_made_are_none() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset_socket(writer.transport)

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    network = Network("default", KEY, f"http://127.0.0.1:{port}/api")
    async with listener, sessions_of(network) as sessions:
        heard = await asyncio.gather(*(hear(sessions) for _ in range(50)))
    assert {one.verdict.reason for one in heard} == {"connection_failed"}
