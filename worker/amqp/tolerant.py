"""Makes the frame decoder survive properties that no date, text or table can be read from.

pamqp raises on them while it reads the frame, which ends the connection; the broker hands the
message out again and ends the next one, so that a single producer with a timestamp in
nanoseconds or a message id in Latin-1 would bring down every worker. Here such a value is read
as well as it can be, and the message is handed on, to be judged like any other.

The decoder's tables of functions, ``pamqp.decode.METHODS`` and ``TABLE_MAPPING``, are public.
"""

import struct
from datetime import UTC, datetime

from pamqp import decode
from pamqp.common import FieldTable, FieldValue

from worker.core.headers import UNREADABLE

_SCALES = (1, 1e3, 1e6, 1e9)
_LAST_IN_SECONDS = 0xFFFFFFFF


def tolerate_odd_properties() -> None:
    """Put the tolerant decoders in place, for every connection of the process; idempotent."""
    decode.METHODS["shortstr"] = short_text
    decode.METHODS["table"] = table
    decode.METHODS["timestamp"] = timestamp
    decode.TABLE_MAPPING[b"T"] = timestamp


def short_text(value: bytes) -> tuple[int, FieldValue]:
    """Decode a short string; bytes that are no UTF-8 become ``?``, so that it can be sent again."""
    length = value[0] if value else 0
    raw = value[1 : length + 1]
    try:
        return length + 1, raw.decode("utf-8")
    except UnicodeDecodeError:
        return length + 1, raw.decode("ascii", "replace").replace("\ufffd", "?")


def timestamp(value: bytes) -> tuple[int, FieldValue]:
    """Decode a time in seconds, or in milli-, micro- or nanoseconds where that is likelier."""
    (ticks,) = struct.unpack(">Q", value[:8])
    for scale in _SCALES:
        seconds = ticks / scale
        if seconds <= _LAST_IN_SECONDS:
            return 8, datetime.fromtimestamp(seconds, tz=UTC)
    return 8, None


def table(value: bytes) -> tuple[int, FieldTable]:
    """Decode a table; one that cannot be decoded is empty but for the mark that says so."""
    try:
        return decode.field_table(value)
    except (ValueError, RecursionError):
        (length,) = struct.unpack(">I", value[:4])
        return 4 + length, {UNREADABLE: True}
