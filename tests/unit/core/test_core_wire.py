"""Updates, finals and unknown frames, in the documents' dialect and the SDK's."""

import json
from typing import Any

import pytest

from tests.unit.core.builders import DOCS_UPDATE, FINAL, SDK_UPDATE, frame, nested
from worker.core.update import UPDATED, Update
from worker.core.wire import (
    Failure,
    Final,
    Garbage,
    Unknown,
    parse_object,
    read_frame,
    read_message,
)

AGENT = {"id": "intelligent-agent", "type": "agent", "email": None}
DATA = {"text": "so far"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (DOCS_UPDATE, Update.saying("I found several")),
        (SDK_UPDATE, Update.saying("I found several", task_id="t1")),
        (frame(event=UPDATED, data=DATA), Update.saying("so far")),
        (frame(channel={"event_name": UPDATED}, data=DATA), Update.saying("so far")),
        (frame(channel={"eventName": UPDATED}, data=DATA), Update.saying("so far")),
        (frame(type="streaming_update", data=DATA), Update.saying("so far")),
        (frame(event="streaming_update", data=DATA), Update.saying("so far")),
        (frame(type=UPDATED, data=DATA), Update.saying("so far")),
        (frame(event=UPDATED, channel={"event_name": "other"}, data=DATA), Update.saying("so far")),
        (frame(event=None, channel={"event_name": UPDATED}, data=DATA), Update.saying("so far")),
        (frame(event=UPDATED, data=DATA, id="x", sender=AGENT), Update.saying("so far")),
    ],
)
def test_an_update_in_every_dialect(raw: bytes, expected: Update) -> None:
    assert read_frame(raw) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), (None, ""), ("é\n☃", "é\n☃"), (3, "3"), (["a", 1], '["a", 1]'), (False, "false")],
)
def test_a_text_is_read_by_presence_and_never_fails(text: object, expected: str) -> None:
    update = read_frame(frame(event=UPDATED, data={"text": text}))
    assert isinstance(update, Update)
    assert update.text == expected
    final = read_frame(frame(id="m1", text=text, sender=AGENT))
    assert isinstance(final, Final)
    assert final.text == expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [({"task_id": "t1"}, "t1"), ({"task_id": None}, None), ({"task_id": 7}, None), (3, None)],
)
def test_the_task_of_an_update_is_known_only_where_it_is_told(
    context: object, expected: str | None
) -> None:
    raw = frame(channel={"event_name": UPDATED}, scope={"context": context}, data=DATA)
    assert read_frame(raw) == Update.saying("so far", task_id=expected)


@pytest.mark.parametrize("scope", [None, 3, "x", [], {}, {"context": None}])
def test_an_update_needs_no_scope(scope: object) -> None:
    raw = frame(channel={"event_name": UPDATED}, scope=scope, data=DATA)
    assert read_frame(raw) == Update.saying("so far")


@pytest.mark.parametrize("fields", [{}, {"data": None}, {"data": "so far"}, {"data": {"t": "x"}}])
def test_an_update_without_a_text_is_unknown(fields: dict[str, Any]) -> None:
    assert read_frame(frame(event=UPDATED, **fields)) == Unknown("an update without data.text")


def test_the_documents_final_is_kept_byte_for_byte() -> None:
    assert read_frame(FINAL) == Final(
        raw=FINAL,
        id="507f1f77bcf86cd799439011",
        text="I found several built-in microwaves.",
        at=1773066121.0,
    )


@pytest.mark.parametrize(
    ("created_at", "at"),
    [
        ("2026-03-09T14:22:01.000Z", 1773066121.0),
        ("2026-03-09 14:22:01.500000", 1773066121.5),
        ("yesterday", None),
        (1773066121, None),
        (None, None),
    ],
)
def test_a_final_tells_when_it_was_made_if_that_can_be_read(
    created_at: object, at: float | None
) -> None:
    raw = frame(id="m1", text="hi", sender=AGENT, created_at=created_at)
    expected = Final(raw=raw, id="m1", text="hi", at=at)
    assert read_frame(raw) == expected
    assert read_message(raw) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": "m1", "text": "hi", "sender": AGENT, "options": [{"is_recommended": True}]}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "cards": [{"id": "c", "name": "n"}]}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "cards": None}, "hi"),
        ({"id": "m1", "text": "", "sender": AGENT}, ""),
        ({"id": "m1", "text": None, "sender": AGENT}, ""),
        ({"id": "m1", "sender": AGENT}, ""),
        ({"id": "m1", "text": "hi"}, "hi"),
        ({"id": "m1", "text": "hi", "sender": {"type": "3p"}}, "hi"),
        ({"id": "m1", "text": "hi", "sender": "agent"}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "type": "message"}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "type": None, "event": None}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "channel": {"type": "WEBSOCKET"}}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "detail": "more", "errors": []}, "hi"),
        ({"id": "m1", "text": "hi", "sender": AGENT, "trace_info": {"tokens": 7}}, "hi"),
    ],
)
def test_a_final_of_every_shape(fields: dict[str, Any], expected: str) -> None:
    raw = frame(**fields)
    assert read_frame(raw) == Final(raw=raw, id="m1", text=expected)
    assert read_message(raw) == Final(raw=raw, id="m1", text=expected)


@pytest.mark.parametrize(("given", "expected"), [("u-1", "u-1"), (7, "7"), (0, "0")])
def test_an_id_is_opaque(given: object, expected: str) -> None:
    final = read_frame(frame(id=given, text="hi"))
    assert isinstance(final, Final)
    assert final.id == expected


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "m1"},
        {"text": "hi", "sender": AGENT},
        {"id": None, "text": "hi", "sender": AGENT},
        {"id": "", "text": "hi", "sender": AGENT},
        {"id": "m1", "text": "hi", "sender": {"id": "user123", "type": "user"}},
        {"type": "ping"},
        {"message": "welcome"},
    ],
)
def test_what_is_no_answer_is_never_a_final(fields: dict[str, Any]) -> None:
    assert read_frame(frame(**fields)) == Unknown(f"fields {sorted(fields)}")
    assert read_message(frame(**fields)) is None


@pytest.mark.parametrize(
    "named",
    [
        {"event": "thread-message-created"},
        {"channel": {"event_name": "thread-message-created"}},
        {"channel": {"eventName": "thread-message-created"}},
    ],
)
def test_an_event_of_another_name_is_unknown_even_with_an_answer_in_it(named: Any) -> None:
    assert read_frame(frame(id="m1", text="hi", sender=AGENT, **named)) == Unknown(
        "event 'thread-message-created'"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"12",
        b"{",
        b"{'id': 1}",
        b"\xff\xfe",
        b'{"id": "\xe9"}',
        nested(100_000),
        nested(100_000, b'{"a":', b"}"),
        b'{"a":' + b"1" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_json_object_is_garbage(raw: bytes) -> None:
    assert read_frame(raw) == Garbage(f"{len(raw)} bytes that are no JSON object")
    assert parse_object(raw) is None
    assert read_message(raw) is None


def test_error_events_are_checked_before_data_events() -> None:
    raw = frame(event=UPDATED, data=DATA, status_code=500, description="d", message="m")
    assert read_frame(raw) == Failure(payload=raw, status_code=500, message="m")


def test_a_lone_surrogate_in_a_text_is_read() -> None:
    raw = b'{"event":"thread-message-text-content-updated","data":{"text":"\\ud83d"}}'
    assert read_frame(raw) == Update.saying("\ud83d")


def test_an_unknown_frame_is_described_by_its_first_fields() -> None:
    raw = frame(**dict.fromkeys("ihgfedcba"))
    assert read_frame(raw) == Unknown("fields ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']")


@pytest.mark.parametrize("fields", [{"x" * 300: 1}, {"event": "x" * 300}])
def test_an_unknown_frame_is_described_in_200_characters(fields: dict[str, Any]) -> None:
    unknown = read_frame(frame(**fields))
    assert isinstance(unknown, Unknown)
    assert len(unknown.what) == 200


@pytest.mark.parametrize("status", [0, 200, 399, "201"])
def test_a_status_of_success_on_an_answer_leaves_it_an_answer(status: object) -> None:
    raw = frame(id="m1", text="hi", sender=AGENT, status_code=status)
    assert read_frame(raw) == Final(raw=raw, id="m1", text="hi")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "m1", "text": "hi", "sender": AGENT, "status_code": 400},
        {"id": "m1", "text": "hi", "sender": {"type": "user"}, "status_code": 200},
        {"status_code": 200},
    ],
)
def test_any_other_frame_with_a_status_is_a_failure(fields: dict[str, Any]) -> None:
    failure = read_frame(frame(**fields))
    assert isinstance(failure, Failure)
    assert failure.status_code == fields["status_code"]


def test_no_text_of_anybody_is_shown_by_repr_of_an_answer() -> None:
    assert "customer@example.com" not in repr(read_frame(FINAL))


def test_the_reader_keeps_unknown_fields_of_an_object() -> None:
    assert parse_object(FINAL) == json.loads(FINAL)
