"""An update: the text so far, read and handed on without being taken apart.

Most frames of AUI are updates, and of an update nothing is needed but the text, as it was
written. Whatever is not plainly an update is left to :mod:`worker.core.wire`, which reads
everything.
"""

import json
from typing import Self

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from msgspec.json import Decoder

UPDATED = "thread-message-text-content-updated"
UPDATES = (UPDATED, "streaming_update")
"""The documents' and the SDK's name of an update, and the one AUI's Python examples use."""


class Update(Struct, frozen=True, gc=False):
    """The cumulative text so far.

    Attributes:
        literal: the text as a JSON string, quotes included, as AUI wrote it.
        task_id: only where the SDK's dialect tells it.
    """

    literal: bytes
    task_id: str | None = None

    @classmethod
    def saying(cls, text: str, task_id: str | None = None) -> Self:
        """Return the update with that text."""
        literal = json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return cls(literal, task_id)

    @property
    def text(self) -> str:
        """The text."""
        text: str = json.loads(self.literal)
        return text


class _Data(Struct, gc=False):
    text: Raw


class _Channel(Struct, gc=False):
    event_name: str


class _Context(Struct, gc=False):
    task_id: str


class _Scope(Struct, gc=False):
    context: _Context


class _Frame(Struct, gc=False):
    """The fields of an update, in both dialects, and those that would make it something else."""

    data: _Data
    event: str | UnsetType = UNSET
    channel: _Channel | UnsetType = UNSET
    scope: _Scope | UnsetType = UNSET
    status_code: Raw | UnsetType = UNSET
    statusCode: Raw | UnsetType = UNSET  # noqa: N815  AUI's name


_FRAMES = Decoder(_Frame)


def read_update(raw: bytes) -> Update | None:
    """Read a frame that is plainly an update; None for anything else, however broken."""
    try:
        frame = _FRAMES.decode(raw)
        if not raw.isascii():
            raw.decode("utf-8")  # what is not looked into is not checked either
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return None
    event = frame.event
    if event is UNSET:
        event = UNSET if frame.channel is UNSET else frame.channel.event_name
    literal = bytes(frame.data.text)
    plain = event in UPDATES and literal.startswith(b'"')
    if not plain or frame.status_code is not UNSET or frame.statusCode is not UNSET:
        return None
    return Update(literal, None if frame.scope is UNSET else frame.scope.context.task_id)
