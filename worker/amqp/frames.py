"""The bytes of a publish, and of messages that are alike most of them only once.

A publish is a method frame, a header frame and the frames of the body. The updates of one attempt
differ in their number, their id, their time and their body, and in nothing else: a :class:`Route`
has the rest ready.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from aiormq import spec
from pamqp.constants import FRAME_BODY, FRAME_END_CHAR, FRAME_HEADER, FRAME_METHOD

from worker.amqp import encoding
from worker.core.headers import SEQ

_FRAME = Struct(">BHI")
"""Type, channel, size; AMQP 0-9-1, 2.3.5. The octet that ends a frame is not in its size."""
_METHOD = Struct(">IH")
"""Class and method, and the ticket that a publish begins with; AMQP 0-9-1, 1.8.3.7."""
_CONTENT = Struct(">HHQ")
"""Class, weight, body size; AMQP 0-9-1, 2.3.5.2. The properties follow."""
_HEADER = Struct(">BHIHHQ")
"""Both of them: how a header frame begins."""
_TIME = Struct(">Q")
_SEQ = Struct(">i")
_TIME_AND_ID_SIZE = _TIME.size + 1


@dataclass(frozen=True, slots=True)
class Wire:
    """What frames are cut to: the number of their channel, and the room in one frame in bytes."""

    channel: int
    room: int

    def body(self, body: bytes) -> Iterator[bytes]:
        """Cut a body into frames; an empty one has none."""
        room = self.room if self.room > 0 else len(body)
        for start in range(0, len(body), room or 1):
            yield self._frame(FRAME_BODY, body[start : start + room])

    def method(self, exchange: str, key: str, *, mandatory: bool) -> bytes:
        """Write the method frame of a publish."""
        ids = _METHOD.pack(spec.Basic.Publish.index, 0)
        where = encoding.word(exchange) + encoding.short(key)
        return self._frame(FRAME_METHOD, ids + where + encoding.LENGTHS[mandatory])

    def publish(
        self,
        exchange: str,
        key: str,
        properties: encoding.Properties,
        body: bytes,
        *,
        mandatory: bool,
    ) -> bytes:
        """Write any publish at all.

        Raises:
            TypeError: a header is of a type that AMQP does not know.
            ValueError: a text is longer than AMQP can say.
        """
        method = self.method(exchange, key, mandatory=mandatory)
        content = _CONTENT.pack(spec.Basic.frame_id, 0, len(body))
        header = self._frame(FRAME_HEADER, content + encoding.properties(properties))
        return b"".join((method, header, *self.body(body)))

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return _FRAME.pack(kind, self.channel, len(payload)) + payload + FRAME_END_CHAR


class Route:
    """The frames of one message after another to one place.

    Args:
        wire: what to cut the frames to.
        exchange: where to.
        key: the routing key.
        properties: those of any one of the messages, ``aui-seq`` among its headers.
    """

    __slots__ = ("_after", "_before", "_method", "_size", "_tail", "_wire")

    def __init__(
        self, wire: Wire, exchange: str, key: str, properties: encoding.Properties
    ) -> None:
        self._wire = wire
        self._method = wire.method(exchange, key, mandatory=False)
        self._before, last = encoding.around(properties, SEQ, _SEQ.size)
        self._after = last + encoding.after_headers(properties)
        self._tail = encoding.after_timestamp(properties) + FRAME_END_CHAR
        fixed = len(self._before) + len(self._after) + len(self._tail) - len(FRAME_END_CHAR)
        self._size = _CONTENT.size + fixed + _SEQ.size + _TIME_AND_ID_SIZE

    def publish(self, seq: int, message_id: bytes, timestamp: int, body: bytes) -> bytes:
        """Write the next one.

        Args:
            seq: its number, below 2**31.
            message_id: its id, at most 255 bytes of UTF-8.
            timestamp: the seconds since 1970.
            body: what it says.
        """
        wire, size, length = self._wire, len(body), len(message_id)
        frame = FRAME_HEADER, wire.channel, self._size + length
        head = (
            self._method,
            _HEADER.pack(*frame, spec.Basic.frame_id, 0, size),
            self._before,
            _SEQ.pack(seq),
            self._after,
            encoding.LENGTHS[length],
            message_id,
            _TIME.pack(timestamp),
            self._tail,
        )
        if 0 < size <= wire.room:
            begins = _FRAME.pack(FRAME_BODY, wire.channel, size)
            return b"".join((*head, begins, body, FRAME_END_CHAR))
        return b"".join((*head, *wire.body(body)))
