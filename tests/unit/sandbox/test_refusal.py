"""A refusal carries AUI's words and, as AUI's does, the real query string."""

import pytest

from worker.sandbox.refusal import (
    INTERNAL,
    MODERATION,
    UNAUTHORIZED,
    Failure,
    FieldError,
    Origin,
    invalid,
    no_such_task,
    of_status,
    phrase_of,
)

ORIGIN = Origin("POST", "/api/v1/external/message", "network_api_key=secret")


def test_moderation_is_the_documents_sample() -> None:
    assert MODERATION.payload(Origin("POST", "/api/v1/external/message", "")) == {
        "status_code": 400,
        "description": "Bad Request",
        "message": (
            "LLM service failed to process request due to content moderation policy violation"
        ),
        "extra_data": {
            "method": "POST",
            "path": "/api/v1/external/message",
            "query": "",
            "moderation_result": "flagged",
            "policy_violation": "inappropriate_content",
        },
    }


def test_a_payload_echoes_the_query_with_the_key_in_it() -> None:
    assert UNAUTHORIZED.payload(ORIGIN) == {
        "status_code": 401,
        "description": "Not authenticated",
        "message": "Invalid API key",
        "extra_data": {
            "method": "POST",
            "path": "/api/v1/external/message",
            "query": "network_api_key=secret",
        },
    }


@pytest.mark.parametrize(
    ("status", "known"), [(400, MODERATION), (401, UNAUTHORIZED), (500, INTERNAL)]
)
def test_a_status_the_documents_show_has_their_words(status: int, known: Failure) -> None:
    assert of_status(status) == known


def test_another_status_has_its_own_phrase_and_retry_after() -> None:
    failure = of_status(429, 2.0)
    assert failure.payload(ORIGIN)["description"] == "Too Many Requests"
    assert failure.payload(ORIGIN)["extra_data"]["retry_after"] == 2.0
    assert failure.headers() == {"retry-after": "2"}
    assert of_status(503).headers() == {}


def test_a_status_without_a_phrase_is_an_error_all_the_same() -> None:
    assert phrase_of(599) == "Error"
    assert phrase_of(503) == "Service Unavailable"


def test_an_invalid_request_names_every_field() -> None:
    failure = invalid(
        (
            FieldError(("body", "task_id"), "field required", "value_error.missing"),
            FieldError(("body", "text"), "str type expected", "type_error.str"),
        )
    )
    assert failure.message == "body.task_id: field required; body.text: str type expected"
    assert failure.payload(ORIGIN)["extra_data"]["errors"][0] == {
        "loc": ["body", "task_id"],
        "msg": "field required",
        "type": "value_error.missing",
    }


def test_an_unknown_task_is_named() -> None:
    assert no_such_task("abc").payload(ORIGIN)["extra_data"]["task_id"] == "abc"
