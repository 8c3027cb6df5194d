"""The kinds of values that the contract is made of; their limits are those of the core."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from worker.core.body import MAX_USER_ID_BYTES, WORD
from worker.core.job_properties import MAX_JOB_ID_BYTES, MAX_TRACESTATE, TRACEPARENT
from worker.core.verdict import TABLE, Kind

MAX_SHORT = 255
"""Bytes of a text among the AMQP properties (AMQP 0-9-1, 4.2.5.3)."""
_BEYOND_SPACES = 0x3001
"""No white space comes after the ideographic one."""


def anchored(pattern: re.Pattern[str]) -> str:
    """Return a pattern as JSON Schema takes it: there it is only searched for."""
    return f"^{pattern.pattern}$"


def _ranges(codes: Sequence[int]) -> str:
    """Write characters as the inside of a class, as they are: engines differ in their escapes."""
    written, first = "", codes[0]
    for this, following in zip(codes, [*codes[1:], -1], strict=True):
        if following != this + 1:
            written += chr(first) if first == this else f"{chr(first)}-{chr(this)}"
            first = following
    return written


NOT_BLANK = f"[^{_ranges([code for code in range(_BEYOND_SPACES) if chr(code).isspace()])}]"
"""A text with something in it: by what the worker takes for white space, in every engine."""
REASONS = tuple(
    dict.fromkeys(row.reason for row in TABLE if row.kind in (Kind.REJECTED, Kind.INTERRUPTED))
)
"""The words of the verdict table for what did not end well."""

Word = Annotated[str, Field(pattern=anchored(WORD))]
Spoken = Annotated[str, Field(pattern=NOT_BLANK)]
UserId = Annotated[str, Field(pattern=NOT_BLANK, max_length=MAX_USER_ID_BYTES)]
JobId = Annotated[str, Field(max_length=MAX_JOB_ID_BYTES)]
Short = Annotated[str, Field(max_length=MAX_SHORT)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=0, description="seconds since 1970, in UTC")]
Reason = Annotated[str, Field(pattern="^[a-z_]+$", examples=list(REASONS))]
Traceparent = Annotated[str, Field(pattern=anchored(TRACEPARENT))]
Tracestate = Annotated[str, Field(max_length=MAX_TRACESTATE)]


class Open(BaseModel):
    """An object that may hold more than is said of it."""

    model_config = ConfigDict(extra="allow")


def constant(value: str | int) -> WithJsonSchema:
    """Return what makes a kind of value that one."""
    return WithJsonSchema({"const": value})
