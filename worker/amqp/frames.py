"""The bytes of a publish: what pamqp writes, but of messages that are alike most of it only once.

A publish is a method frame, a header frame and the frames of the body. The updates of one attempt
differ in their number, their id, their time and their body, and in nothing else: a :class:`Route`
has the rest ready.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct

from aiormq import spec
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.constants import FRAME_BODY, FRAME_END_CHAR
from pamqp.header import ContentHeader

from worker.core.headers import SEQ

_FRAME = Struct(">BHI")
"""Type, channel, size; AMQP 0-9-1, 2.3.5. The octet that ends a frame is not in its size."""
_TIME = Struct(">Q")
_CONTENT = Struct(">HHQ")
"""Class, weight, body size; AMQP 0-9-1, 2.3.5.2. The properties follow."""
_SAMPLES = ((0x11111111, "a"), (0x22222222, "b"))
"""Two numbers no octet of which is the same, both too great for fewer octets, and two ids."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What frames are cut to: the number of their channel, and the room in one frame in bytes."""

    channel: int
    room: int

    def body(self, body: bytes) -> Iterator[bytes]:
        """Cut a body into frames; an empty one has none."""
        room = self.room if self.room > 0 else len(body)
        for start in range(0, len(body), room or 1):
            yield frame.marshal(ContentBody(body[start : start + room]), self.channel)

    def publish(
        self,
        exchange: str,
        key: str,
        properties: spec.Basic.Properties,
        body: bytes,
        *,
        mandatory: bool,
    ) -> bytes:
        """Write any publish at all."""
        method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory)
        header = ContentHeader(properties=properties, body_size=len(body))
        frames = (frame.marshal(each, self.channel) for each in (method, header))
        return b"".join((*frames, *self.body(body)))


class Route:
    """The frames of one message after another to one place.

    Args:
        wire: what to cut the frames to.
        exchange: where to.
        key: the routing key.
        properties: those of any one of the messages, ``aui-seq`` among its headers; used up.
        mandatory: what no queue takes is to come back.
    """

    def __init__(
        self,
        wire: Wire,
        exchange: str,
        key: str,
        properties: spec.Basic.Properties,
        *,
        mandatory: bool = False,
    ) -> None:
        self._wire = wire
        method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=mandatory)
        one, other = (_header(wire, properties, *sample) for sample in _SAMPLES)
        seq = _first_difference(one, other, 0)
        # A text begins with its length; the time follows the id, as AMQP 0-9-1 lists properties.
        message_id = _first_difference(one, other, seq + 4)
        content = _FRAME.size + _CONTENT.size
        self._tail = one[message_id + 1 + _TIME.size :]
        self._size = len(one) - _FRAME.size - len(FRAME_END_CHAR) - 1
        begins = frame.marshal(method, wire.channel) + one[:3]
        before, after = one[content:seq], one[seq + 4 : message_id - 1]
        self._fixed = begins, before, after
        self._head = Struct(f">{len(begins)}sIHHQ{len(before)}si{len(after)}sB").pack
        self._end = Struct(f">Q{len(self._tail)}sBHI").pack

    def publish(self, seq: int, message_id: bytes, timestamp: int, body: bytes) -> bytes:
        """Write the next one.

        Args:
            seq: its number, below 2**31.
            message_id: its id, at most 255 bytes of UTF-8.
            timestamp: the seconds since 1970.
            body: what it says.
        """
        size, wire = len(body), self._wire
        begins, before, after = self._fixed
        length = len(message_id)
        head = self._head(
            begins, self._size + length, spec.Basic.frame_id, 0, size, before, seq, after, length
        )
        if 0 < size <= wire.room:
            end = self._end(timestamp, self._tail, FRAME_BODY, wire.channel, size)
            return b"".join((head, message_id, end, body, FRAME_END_CHAR))
        rest = (_TIME.pack(timestamp), self._tail, *wire.body(body))
        return b"".join((head, message_id, *rest))


def _header(wire: Wire, properties: spec.Basic.Properties, seq: int, message_id: str) -> bytes:
    """Write a header frame with another number, id and time."""
    properties.headers = {**(properties.headers or {}), SEQ: seq}
    properties.message_id = message_id
    properties.timestamp = datetime.fromtimestamp(0, UTC)
    return frame.marshal(ContentHeader(properties=properties), wire.channel)


def _first_difference(one: bytes, other: bytes, start: int) -> int:
    """Return the place at which two texts of one length differ for the first time."""
    differs = int.from_bytes(one[start:], "big") ^ int.from_bytes(other[start:], "big")
    return len(one) - (differs.bit_length() + 7) // 8
