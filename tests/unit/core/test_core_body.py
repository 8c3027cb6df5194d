"""A job's body is read strictly and handed on as it came."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY, json_values, nested, spoken, texts, words
from worker.core.body import (
    is_word,
    parse_body,
    request_of,
    shown,
    task_id_of,
    text_of,
    user_id_of,
    with_task,
)
from worker.core.errors import InvalidJob

KNOWN = ("task_id", "user_id", "text", "context")
further = st.dictionaries(texts.filter(lambda name: name not in KNOWN), json_values, max_size=4)
"""Fields that AUI may accept and the worker does not know."""


def request(body: dict[str, Any]) -> bytes:
    """The request for AUI that a body becomes."""
    return request_of(json.dumps(body).encode(), body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", True),
        ("Az09_-", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a.b", False),
        ("a\n", False),
        ("a b", False),
        ("#", False),
        ("*", False),
        ("é", False),
        ("٣", False),
        (b"a", False),
        (7, False),
        (None, False),
    ],
)
def test_a_word_of_a_routing_key(value: object, expected: bool) -> None:
    assert is_word(value) is expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\xff", "is not UTF-8 (byte 0)"),
        (b'{"text":"\xe9"}', "is not UTF-8 (byte 9)"),
        ('{"text":"hi"}'.encode("utf-16"), "is not UTF-8 (byte 0)"),
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"hello", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"a":1} x', "is not JSON: Extra data: line 1 column 9 (char 8)"),
        (b'{"a":NaN}', "is not JSON: NaN is no JSON value"),
        (b'{"a":-Infinity}', "is not JSON: -Infinity is no JSON value"),
        (b'{"a":1e999}', "is not JSON: '1e999' is too large a number"),
        (b'{"a":[-1e999]}', "is not JSON: '-1e999' is too large a number"),
        (b'{"text":"a","text":"b"}', "is not JSON: a field stands there twice"),
        (b'{"text":"a","\\u0074ext":"b"}', "is not JSON: a field stands there twice"),
        (b'{"context":{"url":"a","url":"b"}}', "is not JSON: a field stands there twice"),
        (b"[1]", "must be a JSON object, not [1]"),
        (b'"hi"', "must be a JSON object, not 'hi'"),
        (b"7", "must be a JSON object, not 7"),
        (b"null", "must be a JSON object, not None"),
        (b'"' + b"x" * 100 + b'"', f"must be a JSON object, not '{'x' * 76}..."),
        (nested(100_000), "is nested too deeply"),
        (nested(100_000, b'{"a":', b"}"), "is nested too deeply"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_object_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        parse_body(body)
    assert (refused.value.field, refused.value.problem) == ("body", problem)


def test_a_byte_order_mark_is_no_json() -> None:
    with pytest.raises(InvalidJob, match=r"^body: is not JSON: "):
        parse_body(b'\xef\xbb\xbf{"a":1}')


@MANY
@given(body=st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with suppress(InvalidJob):
        assert parse_body(body) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"task_id": "68e7"}, "68e7"), ({"task_id": "a", "user_id": 7}, "a"), ({"user_id": 7}, None)],
)
def test_the_task_is_told_or_a_user_is(body: dict[str, Any], expected: str | None) -> None:
    assert task_id_of(body) == expected


@pytest.mark.parametrize("user_id", ["u", "+49 170 1234567", "a.b#*", "é" * 128, "\x00", " x "])
def test_a_user_id_is_free_text(user_id: str) -> None:
    assert user_id_of({"user_id": user_id}) == user_id


def test_a_job_by_task_needs_no_user() -> None:
    assert user_id_of({"task_id": "t"}) is None


@pytest.mark.parametrize("text", ["hi", " hi ", "\x00", "é☃🎉", "\n.\n"])
def test_a_text_is_kept_as_it_is(text: str) -> None:
    assert text_of({"text": text}) == text


@pytest.mark.parametrize(
    "context",
    [
        {"url": None, "lead_details": None},
        {"url": "https://example.com", "lead_details": {"a": [1]}},
        {"lead_details": {}, "url": "", "welcome_message": "more"},
    ],
)
def test_a_whole_context_is_handed_on_byte_for_byte(context: dict[str, Any]) -> None:
    raw = b' {"context" : %s, "x":1.10} ' % json.dumps(context).encode()
    assert request_of(raw, parse_body(raw)) is raw


@pytest.mark.parametrize("raw", [b'{"text":"hi"}', b'{ "context":null , "a":1.10,"b":1e2}'])
def test_without_a_context_the_request_is_the_body(raw: bytes) -> None:
    assert request_of(raw, parse_body(raw)) is raw


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, {"url": None, "lead_details": None}),
        ({"url": "u"}, {"url": "u", "lead_details": None}),
        ({"lead_details": {"a": 1}}, {"url": None, "lead_details": {"a": 1}}),
        ({"url": None, "x": [1]}, {"url": None, "lead_details": None, "x": [1]}),
    ],
)
def test_a_context_is_made_whole_and_nothing_else_changes(
    context: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = {"task_id": "t", "text": "é\ud83d", "context": context, "agent_variables": {"a": 1}}
    assert json.loads(request(body)) == body | {"context": expected}


def test_numbers_keep_their_values_when_a_context_is_made_whole() -> None:
    body = parse_body(b'{"a":1.10,"b":1e308,"c":123456789012345678901234567890,"context":{}}')
    assert parse_body(request(body)) == body | {"context": {"url": None, "lead_details": None}}


@pytest.mark.parametrize("context", ["x", 7, [], True])
def test_a_context_is_an_object(context: object) -> None:
    with pytest.raises(InvalidJob, match=r"^context: must be an object, not "):
        request({"context": context})


@MANY
@given(user_id=spoken, text=spoken, more=further, task_id=words, indent=st.none() | st.just(2))
def test_a_task_is_put_in_front_of_the_fields(
    user_id: str, text: str, more: dict[str, Any], task_id: str, indent: int | None
) -> None:
    body = {"user_id": user_id, "text": text, **more}
    raw = json.dumps(body, indent=indent).encode()
    placed = with_task(raw, task_id)
    assert parse_body(placed) == {"task_id": task_id, **body}
    assert placed.endswith(raw[1:])


@pytest.mark.parametrize("before", [b"", b" ", b"\r\n\t "])
def test_white_space_before_the_body_is_no_harm(before: bytes) -> None:
    assert with_task(before + b'{"user_id":"u"}', "t") == b'{"task_id":"t","user_id":"u"}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", "'\\xe9'"),
        ("\ud800", "'\\ud800'"),
        (["a"], "['a']"),
        ("x" * 78, f"'{'x' * 78}'"),
        ("x" * 79, f"'{'x' * 76}..."),
    ],
)
def test_a_value_is_shown_short_and_in_ascii(value: object, expected: str) -> None:
    assert shown(value) == expected
