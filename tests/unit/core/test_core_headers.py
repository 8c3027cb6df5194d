"""What headers are called, and how much room they take up in a frame."""

from typing import Any

import pamqp.encode
import pytest
from hypothesis import given

from tests.unit.core.amqp_tables import plain_tables
from tests.unit.core.builders import MANY
from worker.core import headers as h

NAMES = {name: value for name, value in vars(h).items() if name.isupper() and name[0] != "_"}


def test_every_header_has_a_name_of_its_own() -> None:
    assert sorted(NAMES.values()) == sorted(set(NAMES.values()))


@pytest.mark.parametrize("name", NAMES.values())
def test_a_header_is_ours_the_brokers_or_the_w3cs(name: str) -> None:
    assert name == name.lower()
    assert name.startswith(("aui-", "x-", "trace"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 5),
        ({"a": ""}, 12),
        ({"a": "é"}, 14),
        ({"é": b"xyz"}, 16),
        ({"a": bytearray(10)}, 22),
        ({"a": {"b": "c"}}, 20),
        ({"a": ["b", "c"]}, 24),
        ({"a": ("b",)}, 18),
        ({"a": None}, 32),
        ({"a": 2**64}, 32),
        ({"a": "\ud800"}, 13),
        ({"\ud800": ""}, 12),
    ],
)
def test_the_size_of_headers(headers: dict[str, Any], expected: int) -> None:
    assert h.size_of(headers) == expected


@MANY
@given(headers=plain_tables)
def test_no_frame_is_larger_than_the_size_says(headers: dict[str, Any]) -> None:
    assert len(pamqp.encode.field_table(headers)) <= h.size_of(headers)


def test_headers_of_any_depth_have_a_size() -> None:
    value: Any = "x"
    for _ in range(5000):
        value = {"a": [value]}
    assert h.size_of({"a": value}) == 5 + 2 + 5000 * 12 + 6
