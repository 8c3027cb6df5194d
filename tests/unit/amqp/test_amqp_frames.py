"""The frames we write are those that the client library would write."""

from datetime import UTC, datetime

from aiormq import spec
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.common import FieldValue
from pamqp.header import ContentHeader

from worker.amqp.frames import Route, Wire
from worker.core.headers import SEQ

Read = tuple[spec.Basic.Publish, ContentHeader, list[bytes], set[int]]

words = st.text(st.characters(codec="utf-8"), max_size=40)
short = st.text(st.characters(codec="utf-8"), max_size=63)
headers = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=32),
    words | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
    max_size=5,
)
wires = st.builds(Wire, channel=st.integers(1, 65_535), room=st.integers(0, 40))
seqs = st.integers(-(2**31), 2**31 - 1)
ids = st.text(st.characters(codec="utf-8"), max_size=63)
times = st.integers(0, 2**32 - 1)
bodies = st.binary(max_size=200)


def properties(table: dict[str, FieldValue], **more: str) -> spec.Basic.Properties:
    """Return properties of some message, of every kind there is but those that are to change."""
    return spec.Basic.Properties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={**table, SEQ: 1},
        delivery_mode=1,
        priority=0,
        reply_to="sub.me",
        expiration="1000",
        message_id="any",
        timestamp=datetime.now(UTC),
        app_id="aui-worker",
        **more,
    )


def read(written: bytes) -> Read:
    """Read one publish: method, header, the pieces of the body, and the channels of the frames."""
    frames, channels = [], set()
    while written:
        size, channel, one = frame.unmarshal(written)
        written = written[size:]
        frames.append(one)
        channels.add(channel)
    method, header, *body = frames
    assert isinstance(method, spec.Basic.Publish)
    assert isinstance(header, ContentHeader)
    pieces = [piece.value for piece in body if isinstance(piece, ContentBody)]
    assert len(pieces) == len(body)
    return method, header, pieces, channels


def check(written: bytes, wire: Wire, message: spec.Basic.Properties, body: bytes) -> None:
    """Find one message in what was written, and nothing else."""
    method, header, pieces, channels = read(written)
    assert (method.exchange, method.routing_key) == ("aui.replies", "a.b.c.update")
    assert header.properties == message
    assert header.body_size == len(body)
    assert b"".join(pieces) == body
    assert all(len(piece) <= wire.room for piece in pieces if wire.room)
    assert all(pieces)
    assert channels == {wire.channel}


@given(wires, headers, short, words, st.lists(st.tuples(seqs, ids, times, bodies), min_size=1))
def test_a_route_writes_what_the_message_says(
    wire: Wire,
    table: dict[str, FieldValue],
    correlation_id: str,
    kind: str,
    messages: list[tuple[int, str, int, bytes]],
) -> None:
    more = {"correlation_id": correlation_id, "message_type": kind}
    route = Route(wire, "aui.replies", "a.b.c.update", properties(table, **more))
    for seq, message_id, seconds, body in messages:
        written = route.publish(seq, message_id.encode(), seconds, body)
        expected = properties(table, **more)
        expected.headers = {**table, SEQ: seq}
        expected.message_id = message_id
        expected.timestamp = datetime.fromtimestamp(seconds, UTC)
        expected.correlation_id = correlation_id or None  # the library leaves an empty one out
        expected.message_type = kind or None
        check(written, wire, expected, body)


@given(wires, headers, ids.filter(bool), bodies, st.booleans())
def test_any_other_publish_is_written_whole(
    wire: Wire, table: dict[str, FieldValue], message_id: str, body: bytes, mandatory: bool
) -> None:
    message = properties(table)
    message.message_id = message_id
    message.timestamp = datetime.fromtimestamp(1_700_000_000, UTC)
    written = wire.publish("aui.replies", "a.b.c.update", message, body, mandatory=mandatory)
    check(written, wire, message, body)
    assert read(written)[0].mandatory is mandatory


@given(wires, headers, st.integers(2**16, 2**31 - 1), ids.filter(bool), times, bodies)
def test_where_the_library_writes_the_number_in_four_octets_not_one_octet_differs(
    wire: Wire,
    table: dict[str, FieldValue],
    seq: int,
    message_id: str,
    seconds: int,
    body: bytes,
) -> None:
    route = Route(wire, "aui.replies", "a.b.c.update", properties(table))
    plain = properties({**table})
    plain.headers = {**table, SEQ: seq}
    plain.message_id = message_id
    plain.timestamp = datetime.fromtimestamp(seconds, UTC)
    expected = wire.publish("aui.replies", "a.b.c.update", plain, body, mandatory=False)
    assert route.publish(seq, message_id.encode(), seconds, body) == expected


def test_texts_that_look_like_what_changes_are_left_alone() -> None:
    """Whoever makes up a job id may well write the header of a frame into it."""
    look = "\x07aui-seqI\x11\x11\x11\x11a"
    route = Route(Wire(1, 100), "aui.replies", "a.b.c.update", properties({"aui-job-id": look}))
    header = read(route.publish(5, b"id", 0, b""))[1]
    assert header.properties.headers == {"aui-job-id": look, SEQ: 5}
    assert header.properties.message_id == "id"
