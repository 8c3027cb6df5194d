"""Cuts what arrives into frames, reads the plain ones, and leaves the rest to the library.

Nearly all that AUI sends are text frames, each a whole message, that arrive in one piece. To find
such a message takes a small part of the time that the library's parser takes.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State

PLAIN = 0x81
"""The first byte of a text frame that is a whole message, as it is (RFC 6455 section 5.2)."""
_MASKED = 0x80
_OPCODES = frozenset(Opcode)
_END_OF_HEAD = b"\r\n\r\n"


class Reader(Protocol):
    """Who is told what was cut out."""

    def tell(self, message: bytes) -> None:
        """Take a plain message."""

    def take(self) -> None:
        """Look what the wire has read."""


class Framing:
    """What arrives at one socket, from the response to the upgrade on.

    Args:
        wire: reads what is no plain message.
        reader: is told.
    """

    __slots__ = ("_begun", "_left", "_reader", "_wire")

    def __init__(self, wire: ClientProtocol, reader: Reader) -> None:
        self._wire = wire
        self._reader = reader
        self._begun = b""
        self._left = 0

    @property
    def is_between(self) -> bool:
        """No message has begun that has not ended."""
        return not self._begun and not self._left and self._wire.current_size is None

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        wire = self._wire
        if wire.state is State.CONNECTING:
            data = self._feed_response(data)
        elif self._begun:
            data, self._begun = self._begun + data, b""
        start, end = 0, len(data)
        while start < end:
            if wire.state is not State.OPEN:
                self._read(data[start:])
                return
            if self._left:
                stop = min(end, start + self._left)
                self._left -= stop - start
                self._read(data[start:stop])
            else:
                body, stop = _place(data, start, end)
                if not body:
                    self._begin(data[start:])
                    return
                # Servers must not mask: the library is to see it if one does.
                plain = data[start] == PLAIN and data[start + 1] < _MASKED
                if plain and stop <= end and self._takes(stop - body):
                    self._reader.tell(data[body:stop])
                else:
                    self._left = stop - min(stop, end)
                    stop -= self._left
                    self._read(data[start:stop])
            start = stop

    def _begin(self, data: bytes) -> None:
        """Take the beginning of a frame whose end is not yet known."""
        if _is_refused(data[:2]):
            self._read(data)
        else:
            self._begun = data

    def _takes(self, size: int) -> bool:
        wire = self._wire
        allowed = wire.max_message_size
        return wire.current_size is None and (allowed is None or size <= allowed)

    def _read(self, data: bytes) -> None:
        self._wire.receive_data(data)
        self._reader.take()

    def _feed_response(self, data: bytes) -> bytes:
        """Feed the response to the upgrade; return what follows it."""
        seen = self._begun + data
        place = seen.find(_END_OF_HEAD)
        stop = len(seen) if place < 0 else place + len(_END_OF_HEAD)
        fed, self._begun = len(self._begun), b""
        self._read(seen[fed:stop])  # what had begun was fed when it came
        if place < 0:
            self._begun = seen[1 - len(_END_OF_HEAD) :]
        return seen[stop:]


def write_out(wire: ClientProtocol, transport: asyncio.Transport) -> None:
    """Write what the wire has to send."""
    for data in wire.data_to_send():
        if transport.is_closing():
            break
        if data:
            transport.write(data)
        elif transport.can_write_eof():
            with suppress(OSError, RuntimeError):
                transport.write_eof()
        else:  # TLS
            transport.close()


def _is_refused(head: bytes) -> bool:
    """Tell whether the library refuses a frame by its first two bytes, whatever follows."""
    return len(head) == 2 and (head[0] % 16 not in _OPCODES or head[1] >= _MASKED)


def _place(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Find where the payload of a frame begins and ends; 0 and 0 if that is not yet known."""
    body = start + 2
    if end < body:
        return 0, 0
    size = data[start + 1] % _MASKED
    if size > 125:
        begin, body = body, body + (2 if size == 126 else 8)
        if end < body:
            return 0, 0
        size = int.from_bytes(data[begin:body], "big")
    return body, body + size
