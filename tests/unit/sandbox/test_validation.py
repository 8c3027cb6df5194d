"""Requests are read as the documents describe them, and complaints name the field."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.refusal import Refused
from worker.sandbox.validation import (
    Page,
    read_body,
    read_json,
    read_message,
    read_page,
    read_user_id,
)

GOOD = {"task_id": "t", "text": "hi"}


def complaints(refused: pytest.ExceptionInfo[Refused]) -> list[tuple[tuple[str | int, ...], str]]:
    """Where and of what kind each complaint of a 422 is."""
    assert refused.value.failure.status == 422
    return [(error.loc, error.type) for error in refused.value.failure.errors]


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        {**GOOD, "context": None},
        {**GOOD, "context": {}},
        {**GOOD, "context": {"url": None, "lead_details": None}},
        {**GOOD, "context": {"url": "https://example.com", "lead_details": {"a": [1]}}},
        {**GOOD, "agent_variables": {"unknown": "field"}},
        {"task_id": "t", "text": ""},
    ],
)
def test_a_message_is_kept_whole(body: dict[str, Any]) -> None:
    request = read_message(body)
    assert (request.task_id, request.text, request.body) == (body["task_id"], body["text"], body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": "hi"}, [(("body", "task_id"), "value_error.missing")]),
        (
            {},
            [
                (("body", "task_id"), "value_error.missing"),
                (("body", "text"), "value_error.missing"),
            ],
        ),
        ({**GOOD, "text": 1}, [(("body", "text"), "type_error.str")]),
        ({**GOOD, "text": "\ud800"}, [(("body", "text"), "value_error.unicode")]),
        ({**GOOD, "context": "x"}, [(("body", "context"), "type_error.dict")]),
        ({**GOOD, "context": {"url": 1}}, [(("body", "context", "url"), "type_error.str")]),
        (
            {**GOOD, "context": {"lead_details": "x"}},
            [(("body", "context", "lead_details"), "type_error.dict")],
        ),
        ([], [(("body",), "type_error.dict")]),
        (None, [(("body",), "type_error.dict")]),
    ],
)
def test_what_is_wrong_with_a_message_is_named(body: object, expected: list[Any]) -> None:
    with pytest.raises(Refused) as refused:
        read_message(body)
    assert complaints(refused) == expected


def test_a_missing_field_is_the_documents_sample() -> None:
    with pytest.raises(Refused) as refused:
        read_message({"text": "hi"})
    assert [error.as_json() for error in refused.value.failure.errors] == [
        {"loc": ["body", "task_id"], "msg": "field required", "type": "value_error.missing"}
    ]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", "[" * 100_000, b"1" * 5000])
def test_what_is_not_json_is_refused(raw: bytes | str) -> None:
    with pytest.raises(Refused) as refused:
        read_json(raw)
    assert complaints(refused)[0][1] == "value_error.jsondecode"


@given(st.binary())
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    with suppress(Refused):
        read_message(read_json(raw))


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_body_that_says_json_is_read(content_type: str) -> None:
    assert read_body(b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_does_not_say_json_is_refused(content_type: str) -> None:
    with pytest.raises(Refused) as refused:
        read_body(b'{"a": 1}', content_type)
    assert complaints(refused) == [(("body",), "type_error.dict")]


def test_a_user_id_is_a_string() -> None:
    assert read_user_id({"user_id": "u", "task_origin_type": "web-widget"}) == "u"
    with pytest.raises(Refused) as refused:
        read_user_id({"user_id": 7})
    assert complaints(refused) == [(("body", "user_id"), "type_error.str")]


def test_a_page_is_the_first_ten_unless_asked_otherwise() -> None:
    assert read_page({"user_id": "u"}) == Page("u", 1, 10)
    assert read_page({"user_id": "u", "page": "3", "size": "5"}) == Page("u", 3, 5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [(("query", "user_id"), "value_error.missing")]),
        ({"user_id": "u", "page": "x"}, [(("query", "page"), "type_error.integer")]),
        ({"user_id": "u", "page": "0"}, [(("query", "page"), "value_error.number.not_ge")]),
        ({"user_id": "u", "size": "9" * 5000}, [(("query", "size"), "type_error.integer")]),
    ],
)
def test_what_is_wrong_with_a_page_is_named(query: dict[str, str], expected: list[Any]) -> None:
    with pytest.raises(Refused) as refused:
        read_page(query)
    assert complaints(refused) == expected
