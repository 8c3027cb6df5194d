"""What the frame decoder makes of bytes that no client library would write."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode

from worker.amqp.tolerant import short_text, table, timestamp, tolerate_odd_properties
from worker.core.headers import UNREADABLE

WHEN = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_a_time_may_be_in_any_usual_unit(scale: int) -> None:
    ticks = struct.pack(">Q", int(WHEN.timestamp()) * scale)

    assert timestamp(ticks) == (8, WHEN)


@given(st.integers(0, 2**64 - 1))
def test_no_time_is_an_error(ticks: int) -> None:
    size, value = timestamp(struct.pack(">Q", ticks))

    assert size == 8
    assert value is None or isinstance(value, datetime)


@given(st.binary(max_size=255), st.binary())
def test_no_text_is_an_error_and_every_text_can_be_sent_again(raw: bytes, rest: bytes) -> None:
    size, text = short_text(bytes([len(raw)]) + raw + rest)

    assert size == len(raw) + 1
    assert isinstance(text, str)
    assert len(encode.short_string(text)) <= 256


@given(st.text(max_size=60))
def test_text_is_read_as_it_is(text: str) -> None:
    raw = text.encode("utf-8")
    assert short_text(bytes([len(raw)]) + raw) == (len(raw) + 1, text)


@given(st.binary(max_size=300), st.binary(max_size=10))
def test_no_table_is_an_error(raw: bytes, rest: bytes) -> None:
    size, headers = table(struct.pack(">I", len(raw)) + raw + rest)

    assert size == 4 + len(raw)
    assert isinstance(headers, dict)


def test_a_table_that_cannot_be_read_says_so() -> None:
    raw = b"\x01\xffS\0\0\0\0"

    assert table(struct.pack(">I", len(raw)) + raw) == (4 + len(raw), {UNREADABLE: True})


def test_a_table_is_read_as_it_is() -> None:
    headers: dict[str, Any] = {"a": 1, "b": ["x", True, None], "c": {"d": 1.5}}

    assert table(encode.field_table(headers))[1] == headers


def test_putting_it_in_place_twice_changes_nothing() -> None:
    tolerate_odd_properties()
    tolerate_odd_properties()

    raw = b"\xe9"
    assert short_text(bytes([len(raw)]) + raw) == (2, "?")
