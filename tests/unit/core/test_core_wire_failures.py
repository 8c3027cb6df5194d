"""AUI's error payloads: four shapes, two spellings, and HTTP bodies that are none of them."""

import json
from typing import Any

import pytest

from tests.unit.core.builders import frame, nested
from worker.core.update import UPDATED, Update
from worker.core.wire import Failure, Garbage, Unknown, failure_payload, read_frame
from worker.core.wire import read_failure as read

UNAUTHORIZED = {
    "status_code": 401,
    "description": "Not authenticated",
    "message": "Invalid API key",
    "extra_data": {},
}
MODERATED = {
    "status_code": 400,
    "description": "Bad Request",
    "message": "LLM service failed to process request due to content moderation policy violation",
    "extra_data": {"moderation_result": "flagged", "path": "/api/v1/external/message"},
}
VALIDATION = [{"loc": ["body", "task_id"], "msg": "field required", "type": "value_error.missing"}]


@pytest.mark.parametrize("payload", [UNAUTHORIZED, MODERATED], ids=["401", "400"])
def test_the_documents_own_shape_is_kept_byte_for_byte(payload: dict[str, Any]) -> None:
    raw = json.dumps(payload, indent=1).encode()
    expected = Failure(raw, status_code=payload["status_code"], message=payload["message"])
    assert read_frame(raw) == expected
    assert read(raw) == expected
    assert read(raw, 502) == expected


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"detail": "Not authenticated"}, None, "Not authenticated"),
        ({"detail": VALIDATION}, None, "body.task_id: field required"),
        ({"detail": None}, None, "no message"),
        ({"detail": {"a": 1}}, None, "no message"),
        ({"detail": []}, None, "no message"),
        ({"errors": ["Unauthorized"]}, None, "Unauthorized"),
        ({"status_code": 401, "errors": ["Unauthorized"]}, 401, "Unauthorized"),
        ({"status_code": 422, "errors": VALIDATION}, 422, "body.task_id: field required"),
        ({"status_code": 422, "errors": ["a", "b"]}, 422, "a; b"),
        ({"status_code": 422, "errors": [{"message": "m"}]}, 422, "m"),
        ({"status_code": 422, "errors": [{"loc": ["string", 0], "msg": "m"}]}, 422, "string.0: m"),
        ({"status_code": 422, "errors": [{"loc": [], "msg": "m"}]}, 422, "m"),
        ({"status_code": 422, "errors": [{"a": 1}]}, 422, "{'a': 1}"),
        ({"status_code": 422, "errors": [7, None]}, 422, "7; None"),
        ({"status_code": 422, "errors": "flat"}, 422, "flat"),
        ({"status_code": 422, "errors": list("abcdefghij")}, 422, "a; b; c; d; e; f; g; h"),
        ({"statusCode": 429, "message": "slow down"}, 429, "slow down"),
        ({"statusCode": 401, "errors": ["Unauthorized"]}, 401, "Unauthorized"),
        ({"status_code": 500}, 500, "no message"),
        ({"status_code": "503", "message": "m"}, 503, "m"),
        ({"status_code": 0, "message": "m"}, 0, "m"),
        ({"status_code": None, "message": "m"}, None, "m"),
        ({"statusCode": "x", "message": "m"}, None, "m"),
        ({"status_code": 400, "message": 7}, 400, "no message"),
        ({"status_code": 400, "message": "m", "detail": "d"}, 400, "m"),
    ],
)
def test_every_other_shape_is_put_into_the_documents(
    body: dict[str, Any], status: int | None, message: str
) -> None:
    failure = read_frame(frame(**body))
    assert isinstance(failure, Failure)
    assert (failure.status_code, failure.message) == (status, message)
    written = json.loads(failure.payload)
    assert list(written) == ["status_code", "description", "message", "extra_data"]
    assert (written["status_code"], written["message"]) == (status, message)
    assert written["extra_data"] == body


@pytest.mark.parametrize(
    ("body", "description"),
    [
        ({"status_code": 401, "errors": []}, "Unauthorized"),
        ({"status_code": 503}, "Service Unavailable"),
        ({"status_code": 599}, "Error"),
        ({"detail": "x"}, "Error"),
        ({"status_code": 401, "description": "Told by AUI", "errors": []}, "Told by AUI"),
        ({"status_code": 401, "description": 7, "errors": []}, "Unauthorized"),
    ],
)
def test_a_description_is_aui_s_or_the_phrase_of_the_status(
    body: dict[str, Any], description: str
) -> None:
    assert json.loads(read(frame(**body)).payload)["description"] == description


@pytest.mark.parametrize(
    "body",
    [
        {"statusCode": 400, "description": "Bad Request", "message": "m", "extraData": {"a": 1}},
        {"status_code": "400", "description": "Bad Request", "message": "m"},
        {"description": "Bad Request", "message": "m"},
    ],
    ids=["camel case", "status in quotes", "no status"],
)
def test_a_payload_says_the_status_where_the_contract_says(body: dict[str, Any]) -> None:
    failure = read(frame(**body), 400)
    assert json.loads(failure.payload) == {
        "status_code": 400,
        "description": "Bad Request",
        "message": "m",
        "extra_data": body,
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b"upstream connect error",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        nested(100_000, b'{"a":', b"}"),
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_an_http_body_that_is_no_object_fails_with_the_status_line(raw: bytes) -> None:
    failure = read(raw, 502)
    assert (failure.status_code, failure.message) == (502, "HTTP 502")
    assert json.loads(failure.payload) == {
        "status_code": 502,
        "description": "Bad Gateway",
        "message": "HTTP 502",
        "extra_data": {},
    }


def test_an_http_body_without_status_takes_that_of_the_status_line() -> None:
    failure = read(b'{"detail": "Not authenticated"}', 401)
    assert (failure.status_code, failure.message) == (401, "Not authenticated")
    assert json.loads(failure.payload) == {
        "status_code": 401,
        "description": "Unauthorized",
        "message": "Not authenticated",
        "extra_data": {"detail": "Not authenticated"},
    }


@pytest.mark.parametrize("status", [None, True, False, 4.5, "", "4x", "٤٠٠", [], {}])
def test_what_is_no_number_is_no_status(status: object) -> None:
    assert read(frame(status_code=status, message="m")).status_code is None


@pytest.mark.parametrize("status", [10**4, -1, 10**30, -(10**30), "9" * 30])
def test_a_status_beyond_four_digits_is_none(status: object) -> None:
    failure = read_frame(frame(status_code=status, detail="d"))
    assert isinstance(failure, Failure)
    assert failure.status_code is None


@pytest.mark.parametrize(
    "named", [{"event": UPDATED}, {"channel": {"event_name": UPDATED}}], ids=["docs", "sdk"]
)
@pytest.mark.parametrize("field", ["detail", "errors"])
def test_an_event_with_a_field_named_like_an_error_is_still_that_event(
    named: dict[str, Any], field: str
) -> None:
    assert read_frame(frame(data={"text": "a"}, **named, **{field: []})) == Update.saying("a")


def test_an_error_payload_is_not_shown_by_repr() -> None:
    assert "moderation_result" not in repr(read(json.dumps(MODERATED).encode()))


def test_a_user_message_with_errors_is_no_failure() -> None:
    assert isinstance(read_frame(frame(id="m", sender={"type": "user"}, errors=[])), Unknown)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("head", [b'{"status_code":500,"x":', b'{"detail":', b'{"detail":[{"msg":'])
def test_an_error_of_any_depth_is_read(head: bytes, opening: bytes) -> None:
    tail = head.count(b"[") * b"}]" + b"}"
    closing = b"]" if opening == b"[" else b"}"
    raws = [head + nested(depth, opening, closing) + tail for depth in range(960, 1000)]
    assert {type(read_frame(raw)) for raw in raws} <= {Failure, Garbage}
    assert all(read(raw, 500).payload.startswith(b'{"status_code": 500,') for raw in raws)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_payload_made_up_here_is_always_json(number: bytes) -> None:
    payload = read(b'{"detail": "d", "x": %s}' % number, 500).payload
    parsed = json.loads(payload, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert parsed["message"] == "d"


def test_a_payload_made_up_here_is_utf_8_as_it_is() -> None:
    assert '"message": "é ☃"'.encode() in failure_payload(400, "é ☃", {})
    assert '"message": "é ☃"'.encode() in failure_payload(400, "é ☃", {"x": float("nan")})


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    payload = failure_payload(400, "cut \ud83d", {})
    assert rb'"cut \ud83d"' in payload
    assert json.loads(payload)["message"] == "cut \ud83d"
