"""However what arrives is cut up, what is read is what the library reads, message for message."""

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CTRL_OPCODES, Close, Frame, Opcode
from websockets.protocol import OPEN, State
from websockets.uri import parse_uri
from websockets.utils import accept_key

from worker.aui.framing import Framing

MAX_BYTES = 70_000
URI = parse_uri("ws://aui.example/session")


class Reading:
    """A wire, and what was read from it."""

    def __init__(self, state: State = OPEN) -> None:
        self.wire = ClientProtocol(URI, state=state, max_size=MAX_BYTES)
        self.wire.extensions = [PerMessageDeflate(False, False, 15, 15)]
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []
        self.by_wire = 0
        self._parts = b""
        self.framing = Framing(self.wire, self)

    def tell(self, message: bytes) -> None:
        """Take a plain message."""
        self.messages.append(message)

    def take(self) -> None:
        """Take what the wire has read."""
        for event in self.wire.events_received():
            if isinstance(event, Frame) and event.opcode not in CTRL_OPCODES:
                self._parts += event.data
                if event.fin:
                    self.by_wire += 1
                    self.messages.append(self._parts)
                    self._parts = b""
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self.pongs.append(bytes(event.data))

    def read_whole(self, data: bytes) -> "Reading":
        """Let the wire read everything by itself, at once."""
        self.wire.receive_data(data)
        self.take()
        return self

    def read(self, data: bytes, cuts: list[int]) -> "Reading":
        """Read it piece by piece."""
        places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, end in pairwise(places):
            if end > start:
                self.framing.feed(data[start:end])
        return self

    def outcome(self) -> tuple[object, ...]:
        """Return all that can be told of it, once the stream has ended."""
        wire = self.wire
        state = wire.state
        wire.receive_eof()
        self.take()
        ends = (wire.close_rcvd, wire.close_sent, wire.close_rcvd_then_sent, state)
        return self.messages, self.pongs, ends, [len(data) for data in wire.data_to_send()]


def framed(opcode: Opcode, data: bytes, *, fin: bool = True, masked: bool = False) -> bytes:
    """Return a frame."""
    return Frame(opcode, data, fin).serialize(mask=masked)


def deflated(data: bytes) -> bytes:
    """Return a compressed message."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = framed(Opcode.TEXT, packed[:-4])
    return bytes([frame[0] | 0x40]) + frame[1:]


def fragments(parts: list[bytes]) -> bytes:
    """Return a message in parts, with a ping between any two."""
    last = len(parts) - 1
    return framed(Opcode.PING, b"?").join(
        framed(Opcode.CONT if n else Opcode.TEXT, part, fin=n == last)
        for n, part in enumerate(parts)
    )


def response_to(wire: ClientProtocol) -> bytes:
    """Return the response that agrees to an upgrade."""
    agreed = "HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{agreed}Sec-WebSocket-Accept: {accept_key(wire.key)}\r\n\r\n".encode()


sizes = st.sampled_from([0, 1, 5, 124, 125, 126, 127, 300, 65_535, 65_536, 70_000])
payloads = st.builds(bytes.__mul__, st.binary(min_size=1, max_size=1), sizes)
good = st.one_of(
    st.builds(framed, st.just(Opcode.TEXT), payloads),
    st.builds(framed, st.just(Opcode.BINARY), payloads),
    st.builds(framed, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)),
    st.builds(deflated, payloads),
    st.builds(fragments, st.lists(st.binary(max_size=200), min_size=2, max_size=4)),
)
evil = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.builds(framed, st.just(Opcode.TEXT), payloads, fin=st.just(False)),
    st.builds(framed, st.just(Opcode.CONT), payloads),
    st.builds(framed, st.just(Opcode.TEXT), payloads, masked=st.just(True)),
    st.builds(framed, st.just(Opcode.CLOSE), st.just(Close(1011, "oops").serialize())),
    st.builds(framed, st.just(Opcode.TEXT), st.just(b"x" * (MAX_BYTES + 1))),
    st.builds(lambda frame: frame[:-1], good),
)
streams = st.lists(good | evil, max_size=6).map(b"".join)
cuts = st.lists(st.integers(0, 400_000), max_size=8)


@given(streams, cuts)
def test_every_stream_is_read_as_the_library_reads_it(stream: bytes, cuts: list[int]) -> None:
    assert Reading().read(stream, cuts).outcome() == Reading().read_whole(stream).outcome()


@pytest.mark.parametrize(
    "stream",
    [
        framed(Opcode.TEXT, b"a", fin=False) + framed(Opcode.TEXT, b"b"),
        framed(Opcode.TEXT, b"a", fin=False)
        + framed(Opcode.PING, b"?")
        + framed(Opcode.CONT, b"b"),
        framed(Opcode.TEXT, b"a") + framed(Opcode.CLOSE, b"") + framed(Opcode.TEXT, b"b"),
        b"\x03~",
        b"\x81\xfe\x01",
    ],
    ids=["unfinished", "interrupted", "closed", "no opcode", "masked"],
)
def test_a_plain_message_counts_only_where_one_may_be(stream: bytes) -> None:
    assert Reading().read(stream, []).outcome() == Reading().read_whole(stream).outcome()


@given(st.lists(good, max_size=4).map(b"".join))
def test_byte_by_byte_too(stream: bytes) -> None:
    stream = stream[:500]
    one_by_one = Reading().read(stream, list(range(len(stream))))
    assert one_by_one.outcome() == Reading().read_whole(stream).outcome()


@given(st.lists(good | evil, max_size=3).map(b"".join), cuts)
def test_what_comes_with_the_response_to_the_upgrade_is_read_as_well(
    stream: bytes, cuts: list[int]
) -> None:
    reading = Reading(State.CONNECTING)
    head = response_to(reading.wire)
    reading.read(head + stream, cuts)
    alone = Reading(State.CONNECTING)
    alone.wire.key = reading.wire.key
    assert reading.outcome() == alone.read_whole(head + stream).outcome()


@given(st.lists(payloads, max_size=5), cuts)
def test_it_is_between_messages_when_none_has_begun(texts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(framed(Opcode.TEXT, text) for text in texts)
    reading = Reading().read(stream, cuts)
    assert reading.framing.is_between
    for begun in (b"\x81", b"\x81\x05", b"\x81\x05h", b"\x01\x01h", b"\x81\x7e\x01"):
        reading = Reading().read(stream + begun, cuts)
        assert not reading.framing.is_between


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, MAX_BYTES])
def test_a_plain_message_in_one_piece_is_not_left_to_the_library(size: int) -> None:
    frame = framed(Opcode.TEXT, b"x" * size)
    reading = Reading().read(frame + frame, [])
    assert reading.messages == [b"x" * size] * 2
    assert reading.by_wire == 0


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\n\r\n\r\n", b"x"])
def test_a_refusal_is_read_to_its_end(refusal: bytes) -> None:
    for cut in range(len(refusal)):
        reading = Reading(State.CONNECTING).read(refusal, [cut])
        reading.wire.receive_eof()
        assert reading.wire.handshake_exc is not None
        assert reading.messages == []
