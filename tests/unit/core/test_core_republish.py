"""Copies of a job: what moves, what stays, and what a dead letter tells."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.core.builders import envelope
from worker.core.body import cut
from worker.core.envelope import Properties
from worker.core.job import Address
from worker.core.republish import (
    AttemptRecord,
    Letter,
    copied,
    encodable,
    forwarded,
    letter_headers,
    letter_key,
)
from worker.core.verdict import Source, Verdict, judge

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONCE = AttemptRecord("2026-01-01T12:00:00.000+00:00", 1, "streaming", "internal_error", "AUI …")


def letter(
    verdict: Verdict, *attempts: AttemptRecord, text: str = "", worker: str = "host-1"
) -> Letter:
    """A letter of noon."""
    return Letter(verdict, attempts, text, NOON.isoformat(), worker)


def test_what_must_not_stay_moves_and_the_rest_stays() -> None:
    properties = Properties(
        headers={
            "x-death": [{"reason": "expired", "count": 1}],
            "x-custom": "x",
            "x-delivery-count": 3,
            "CC": ["a"],
            "BCC": ["b"],
            "aui-channel": "sms",
            "cc": "mine",
            "X-Upper": 1,
        },
        content_type="application/json",
        content_encoding="identity",
        priority=3,
        correlation_id="c",
        reply_to="sub.bot",
        expiration="60000",
        message_id="j",
        timestamp=NOON,
        type="message.send",
        user_id="guest",
        app_id="bot",
    )
    assert copied(properties, {"aui-dead-reason": "expired"}) == Properties(
        headers={
            "aui-orig-x-death": [{"reason": "expired", "count": 1}],
            "aui-orig-x-custom": "x",
            "aui-orig-x-delivery-count": 3,
            "aui-orig-CC": ["a"],
            "aui-orig-BCC": ["b"],
            "aui-channel": "sms",
            "cc": "mine",
            "X-Upper": 1,
            "aui-orig-user_id": "guest",
            "aui-orig-expiration": "60000",
            "aui-dead-reason": "expired",
        },
        content_type="application/json",
        content_encoding="identity",
        priority=3,
        correlation_id="c",
        reply_to="sub.bot",
        expiration=None,
        message_id="j",
        timestamp=NOON,
        type="message.send",
        user_id=None,
        app_id="bot",
    )


def test_what_is_added_wins() -> None:
    properties = Properties(headers={"aui-attempt-base": 1, "a": 1}, user_id="guest")
    added = {"aui-attempt-base": 64, "aui-orig-user_id": "other"}
    assert copied(properties, added).headers == {"a": 1, **added}


def test_a_copy_of_a_copy_keeps_the_first_originals() -> None:
    first = copied(Properties(headers={"x-death": [1]}, user_id="guest"), {})
    assert copied(first, {}) == first


def test_a_name_that_grew_too_long_is_left_out() -> None:
    headers = {"x-" + "n" * 244: 1, "x-" + "n" * 245: 2, "n" * 255: 3}
    assert sorted(copied(Properties(headers=headers), {}).headers.values()) == [1, 3]


@pytest.mark.parametrize(
    ("sizes", "left"),
    [
        ({"a": 30_000, "b": 15_000, "c": 100}, ["a", "b", "c"]),
        ({"a": 50_000, "b": 5_000, "c": 100}, ["b", "c"]),
        ({"a": 48 * 1024 - 12}, ["a"]),
        ({"a": 48 * 1024 - 11}, []),
        ({"a": 30_000, "b": 20_000, "x-own": 100}, ["b"]),
        ({"a": 30_000, "x-small": 100, "x-large": 20_000}, ["a", "aui-orig-x-small"]),
    ],
)
def test_the_moved_and_the_largest_headers_are_left_out_until_the_rest_fits(
    sizes: dict[str, int], left: list[str]
) -> None:
    headers = {name: "x" * size for name, size in sizes.items()}
    assert sorted(copied(Properties(headers=headers), {}).headers) == left


@pytest.mark.parametrize(
    ("redelivered", "headers", "more"),
    [
        (False, {}, {}),
        (True, {}, {"aui-maybe-sent": True}),
        (
            False,
            {"x-delivery-count": 2},
            {"aui-maybe-sent": True, "aui-orig-x-delivery-count": 2},
        ),
        (False, {"aui-maybe-sent": True}, {"aui-maybe-sent": True}),
        (False, {"aui-attempt-base": 3}, {}),
    ],
)
def test_a_forwarded_copy_counts_on_and_tells_if_it_may_be_the_second(
    redelivered: bool, headers: dict[str, Any], more: dict[str, Any]
) -> None:
    message = envelope(headers=headers, redelivered=redelivered)
    assert forwarded(message, 65).headers == {"aui-attempt-base": 65, **more}


@pytest.mark.parametrize(
    ("expires_at", "more"),
    [
        (None, {}),
        (1767268800.0, {"aui-expires-at": 1767268800}),
        (1767268800.001, {"aui-expires-at": 1767268801}),
        (0.0, {"aui-expires-at": 0}),
    ],
)
def test_a_forwarded_copy_tells_when_it_expires_and_never_too_early(
    expires_at: float | None, more: dict[str, int]
) -> None:
    message = envelope(expiration="60000")
    copy = forwarded(message, 1, expires_at)
    orig = {"aui-orig-expiration": "60000"}
    assert copy.headers == {"aui-attempt-base": 1, **orig, **more}
    assert copy.expiration is None
    assert all(type(copy.headers[name]) is int for name in more)


def test_a_copy_of_a_copy_expires_when_the_first_was_to() -> None:
    first = envelope(headers={"aui-expires-at": 1767268800})
    assert forwarded(first, 1).headers["aui-expires-at"] == 1767268800
    assert forwarded(first, 1, 1767268800.0).headers["aui-expires-at"] == 1767268800


@pytest.mark.parametrize(("task_id", "expected"), [("t1", "t1"), (None, "_")])
def test_the_key_of_a_letter(task_id: str | None, expected: str) -> None:
    address = Address("acme", "j", "c", channel="sms", task_id=task_id)
    assert letter_key(address, "invalid_job") == f"acme.sms.{expected}.invalid_job"


def test_a_letter_tells_all_there_is() -> None:
    verdict = judge(Source.STATUS, 400, detail="d", error=b'{"status_code": 400}')
    assert letter_headers(letter(verdict, ONCE, text="so far")) == {
        "aui-dead-reason": "bad_request",
        "aui-dead-status-code": 400,
        "aui-dead-error": '{"status_code": 400}',
        "aui-dead-attempts": json.dumps(
            [
                {
                    "at": "2026-01-01T12:00:00.000+00:00",
                    "attempt": 1,
                    "phase": "streaming",
                    "what": "internal_error",
                    "detail": "AUI …",
                }
            ]
        ),
        "aui-dead-text": "so far",
        "aui-dead-at": "2026-01-01T12:00:00+00:00",
        "aui-dead-worker": "host-1",
    }


@pytest.mark.parametrize(
    ("verdict", "codes"),
    [
        (judge(Source.SERVER_CLOSE, 1008), {"aui-dead-close-code": 1008}),
        (judge(Source.STATUS, 401), {"aui-dead-status-code": 401}),
        (judge(Source.LOCAL_CLOSE, 1009), {}),
        (judge(Source.INVALID_JOB), {}),
    ],
)
def test_a_letter_names_the_codes_there_are(verdict: Verdict, codes: dict[str, int]) -> None:
    headers = letter_headers(letter(verdict))
    assert {name: value for name, value in headers.items() if name.endswith("-code")} == codes


def test_a_letter_names_the_field_of_an_invalid_job() -> None:
    told = letter_headers(letter(judge(Source.INVALID_JOB, detail="text: is missing")))
    assert json.loads(told["aui-dead-error"])["message"] == "text: is missing"


def test_a_long_text_is_cut_at_a_character() -> None:
    told = letter_headers(letter(judge(Source.BUG), text="é" * 10_000 + "x"))["aui-dead-text"]
    assert told == "é" * 8192


def test_a_long_error_is_cut_too() -> None:
    verdict = judge(Source.STATUS, 500, detail="y" * 20_000, error=b'{"x": "%s"}' % (b"x" * 20_000))
    told = letter_headers(letter(verdict))["aui-dead-error"]
    error = json.loads(told)
    assert len(told) < 16 * 1024
    assert (error["status_code"], error["message"]) == (500, "y" * 2048)
    assert error["extra_data"] == {"cut": True}


def test_the_oldest_attempts_are_left_out_and_the_newest_is_always_there() -> None:
    attempts = [
        AttemptRecord("t", number, "waiting", "timeout", "d" * 2000) for number in range(64)
    ]
    told = letter_headers(letter(judge(Source.BUG), *attempts))["aui-dead-attempts"]
    rows = json.loads(told)
    assert len(told) <= 16 * 1024
    assert [row["attempt"] for row in rows] == list(range(64))[-len(rows) :]
    assert len(rows) > 10


@pytest.mark.parametrize("detail", ["x" * 20_000, "\x00" * 20_000, "\ud800" * 20_000])
def test_one_endless_detail_does_not_cost_the_record(detail: str) -> None:
    attempt = AttemptRecord("t", 1, "waiting", "timeout", detail)
    told = letter_headers(letter(judge(Source.BUG), attempt))["aui-dead-attempts"]
    assert [row["attempt"] for row in json.loads(told)] == [1]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("éé", 3, "é"),
        ("🎉", 3, ""),
        ("", 0, ""),
        ("\ud800a", 5, "?a"),
    ],
)
def test_a_cut_is_between_characters(text: str, size: int, expected: str) -> None:
    assert cut(text, size) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1, 1),
        (-(2**63), -(2**63)),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        (1.5, 1.5),
        (float("inf"), float("inf")),
        (3.4028234663852886e38, 3.4028234663852886e38),
        (1e300, "1e+300"),
        (-1e300, "-1e+300"),
        ("é", "é"),
        ("\ud800", "?"),
        (b"\xff", bytearray(b"\xff")),
        (bytearray(b"x"), bytearray(b"x")),
        (NOON, NOON),
        (Decimal("1.50"), "1.50"),
        ({1: b"x", "b": [2**64]}, {"1": bytearray(b"x"), "b": ["18446744073709551616"]}),
        ({"n" * 300: 1}, {"n" * 255: 1}),
        ((1, 2), [1, 2]),
        (1j, "1j"),
    ],
    ids=repr,
)
def test_a_value_goes_out_again_as_like_it_as_can_be(value: object, expected: object) -> None:
    sent = encodable(value)
    assert sent == expected
    assert type(sent) is type(expected)


@pytest.mark.parametrize(
    ("wrap", "unwrap", "shown"),
    [
        (lambda value: [value], lambda value: value[0], "[[['x']]]"),
        (lambda value: {"a": value}, lambda value: value["a"], "{'a': {'a': {'a': 'x'}}}"),
    ],
    ids=["list", "table"],
)
def test_a_value_too_deep_to_be_written_is_shown(
    wrap: Callable[[Any], Any], unwrap: Callable[[Any], Any], shown: str
) -> None:
    value: Any = "x"
    for _ in range(35):
        value = wrap(value)
    sent = encodable(value)
    for _ in range(32):
        sent = unwrap(sent)
    assert sent == shown
