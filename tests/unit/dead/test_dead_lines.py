"""Letters as lines of JSON."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.unit.dead.letters import handed_out, letter
from worker.dead.lines import NoLetter, letter_in, line_of


@pytest.mark.parametrize("body", [b'{"text":"\xc3\xbc\\ud800"}', b"\xff\xfe", b"", b"a\nb"])
def test_a_letter_comes_back_as_it_was(body: bytes) -> None:
    headers = {
        "text": "\u00fc",
        "number": 5,
        "yes": True,
        "nothing": None,
        "bytes": bytearray(b"\xff"),
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "table": {"list": [1, {"$base64": "not bytes"}]},
    }
    one = letter(body=body, headers=headers, timestamp=datetime(2026, 1, 1, tzinfo=UTC), priority=0)
    line = line_of(one)

    assert "\n" not in line
    assert letter_in(line) == one


def test_what_the_broker_counted_and_what_no_letter_has_is_left_out() -> None:
    odd = handed_out(letter(), 3)
    odd = replace(odd, properties=replace(odd.properties, user_id="guest", expiration="1"))

    assert letter_in(line_of(odd)) == replace(letter(), redelivered=False)


def test_a_decimal_becomes_text() -> None:
    one = letter()
    headers = {**one.properties.headers, "price": Decimal("1.50")}
    one = replace(one, properties=replace(one.properties, headers=headers))

    assert letter_in(line_of(one)).properties.headers["price"] == "1.50"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ("{}", "misses 'routing_key'"),
        ('{"routing_key":1,"properties":{},"headers":{},"body":""}', "must be text"),
        ('{"routing_key":"a","properties":{"x":1},"headers":{},"body":""}', "unexpected keyword"),
        ('{"routing_key":"a","properties":{},"headers":{},"body_base64":"?"}', "base64"),
    ],
)
def test_what_is_no_letter_is_told(line: str, why: str) -> None:
    with pytest.raises(NoLetter, match=why):
        letter_in(line)
