"""The bytes of properties and header tables: those that pamqp writes, for a fraction of the time.

AMQP 0-9-1, 4.2.5 (arguments and field tables) and 2.3.5.2 (properties). What a header says in any
other type than a text, a number or a truth is left to pamqp.
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import Any

from aiormq import spec
from pamqp import encode

Properties = spec.Basic.Properties

_FLAGS = Properties.flags
_FLAG_WORD = Struct(">H").pack
_LONG = Struct(">I").pack
_NUMBERS = (
    (-(2**7), 2**7, b"b", Struct(">b").pack),
    (-(2**15), 2**15, b"s", Struct(">h").pack),
    (0, 2**16, b"u", Struct(">H").pack),
    (-(2**31), 2**31, b"I", Struct(">i").pack),
    (0, 2**32, b"i", Struct(">I").pack),
    (-(2**63), 2**63, b"l", Struct(">q").pack),
)
"""The types of whole numbers: from, below, mark, and how to write one."""
_TRUTHS = {False: b"t\x00", True: b"t\x01"}
_FOUR_OCTETS = b"I"
LENGTHS = [bytes((length,)) for length in range(256)]
"""A length, or any other number, in one octet."""
_NONE = (None, "")


def short(text: str) -> bytes:
    """Write a short string: its length in one octet, and it.

    Raises:
        ValueError: it is longer than 255 bytes.
    """
    octets = text.encode()
    if len(octets) >= len(LENGTHS):
        raise ValueError(f"a short string of {len(octets)} bytes")
    return LENGTHS[len(octets)] + octets


@lru_cache(maxsize=256)
def word(text: str) -> bytes:
    """Write a short string that is written again and again; see :func:`short`."""
    return short(text)


def properties(given: Properties) -> bytes:
    """Write all properties, with the flags that say which of them there are."""
    headers = given.headers
    timestamp = given.timestamp
    return b"".join(
        (
            _flags(given),
            _before_headers(given),
            b"" if headers is None else _table(sorted(headers.items())),
            after_headers(given),
            _texts(given.message_id),
            b"" if timestamp is None else encode.timestamp(timestamp),
            after_timestamp(given),
        )
    )


def around(given: Properties, name: str, size: int) -> tuple[bytes, bytes]:
    """Write what comes before a header's value, from the flags on, and what after it in the table.

    Args:
        given: the properties, that header among them; it is written as a number.
        name: its name.
        size: the number's octets: 4.
    """
    headers = sorted((given.headers or {}).items())
    place = [key for key, _ in headers].index(name)
    first, last = _entries(headers[:place]), _entries(headers[place + 1 :])
    first += word(name) + _FOUR_OCTETS
    length = _LONG(len(first) + size + len(last))
    return _flags(given) + _before_headers(given) + length + first, last


def after_headers(given: Properties) -> bytes:
    """Write what comes between the headers and the message's id."""
    octets = (given.delivery_mode, given.priority)
    numbers = bytes([each for each in octets if each is not None])
    return numbers + _texts(given.correlation_id, given.reply_to, given.expiration)


def after_timestamp(given: Properties) -> bytes:
    """Write what comes after the id and the time."""
    return _words(given.message_type, given.user_id, given.app_id, given.cluster_id)


def _flags(given: Properties) -> bytes:
    """Write which of the properties there are; one that is empty is none."""
    word = 0
    for each, flag in _FLAGS.items():
        if getattr(given, each) not in _NONE:
            word |= flag
    return _FLAG_WORD(word)


def _before_headers(given: Properties) -> bytes:
    return _words(given.content_type, given.content_encoding)


def _entries(items: Iterable[tuple[str, Any]]) -> bytes:
    return b"".join([word(key) + _value(value) for key, value in items])


def _table(items: Iterable[tuple[str, Any]]) -> bytes:
    written = _entries(items)
    return _LONG(len(written)) + written


def _words(*texts: str | None) -> bytes:
    return b"".join([word(text) for text in texts if text])


def _texts(*texts: str | None) -> bytes:
    return b"".join([short(text) for text in texts if text])


def _value(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        octets: bytes = value.encode()
        return b"S" + _LONG(len(octets)) + octets
    if kind is bool:
        return _TRUTHS[value]
    if kind is int:
        for least, end, mark, pack in _NUMBERS:
            if least <= value < end:
                return mark + pack(value)
    written: bytes = encode.encode_table_value(value)
    return written
