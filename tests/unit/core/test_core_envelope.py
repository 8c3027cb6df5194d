"""How often a message was handed out before, whatever broker counts it."""

from typing import Any

import pytest

from tests.unit.core.builders import envelope
from worker.core.envelope import Envelope, Properties


@pytest.mark.parametrize(
    ("headers", "redelivered", "expected"),
    [
        ({}, False, 0),
        ({}, True, 1),
        ({"x-delivery-count": 0}, False, 0),
        ({"x-delivery-count": 0}, True, 1),
        ({"x-delivery-count": 1}, True, 1),
        ({"x-delivery-count": 21}, True, 21),
        ({"x-delivery-count": 1}, False, 1),
        ({"x-delivery-count": 3}, False, 3),
        ({"x-delivery-count": -5}, False, 0),
        ({"x-delivery-count": "3"}, False, 0),
        ({"x-delivery-count": None}, True, 1),
        ({"x-delivery-count": 2**63 - 1}, False, 2**20),
    ],
)
def test_a_delivery_is_counted_by_header_and_flag(
    headers: dict[str, Any], redelivered: bool, expected: int
) -> None:
    assert envelope(headers=headers, redelivered=redelivered).delivery_count == expected


def test_nothing_is_set_unless_the_producer_set_it() -> None:
    message = Envelope("default", b"")
    assert message.properties == Properties()
    assert (message.routing_key, message.redelivered, message.delivery_count) == ("", False, 0)
    assert message.properties.headers == {}
