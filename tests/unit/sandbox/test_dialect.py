"""Both dialects say what their sources show, byte for byte where it matters."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.assistant import answer
from worker.sandbox.catalog import PRODUCTS
from worker.sandbox.dialect import DIALECTS, DialectName, TurnContext, task_json
from worker.sandbox.refusal import FieldError
from worker.sandbox.store import Store, Task, TaskMessage

TURN = TurnContext("t" * 24, "m" * 24, "i" * 24, "2026-03-09T14:22:01.000Z")
MISSING = FieldError(("body", "task_id"), "field required", "value_error.missing")
MISSING_JSON = {"loc": ["body", "task_id"], "msg": "field required", "type": "value_error.missing"}


def spoken(text: str = "hi") -> tuple[TaskMessage, Task]:
    """The agent's answer to a text, and its task."""
    store = Store()
    task = store.create_task("user123")
    return store.add_answer(task, "m" * 24, answer(text, None)), task


@pytest.mark.parametrize("name", DIALECTS)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_update_is_json_with_exactly_the_text(name: DialectName, text: str) -> None:
    assert json.loads(DIALECTS[name].updates(TURN)(text))["data"] == {"text": text}


def test_an_update_in_docs_is_the_documents_sample() -> None:
    assert json.loads(DIALECTS["docs"].updates(TURN)("I found several built-in microwaves")) == {
        "event": "thread-message-text-content-updated",
        "data": {"text": "I found several built-in microwaves"},
    }


def test_an_update_in_sdk_has_channel_scope_and_time() -> None:
    assert json.loads(DIALECTS["sdk"].updates(TURN)("I found")) == {
        "channel": {
            "type": "WEBSOCKET",
            "channel_name": f"task-{TURN.task_id}",
            "event_name": "thread-message-text-content-updated",
        },
        "scope": {
            "type": "LLM_ACTIVATION_EXECUTION",
            "data": {"status": "PENDING"},
            "context": {
                "message_id": TURN.message_id,
                "task_id": TURN.task_id,
                "interaction_id": TURN.interaction_id,
                "pillar": "agent",
            },
        },
        "data": {"text": "I found"},
        "timestamp": "2026-03-09T14:22:01.000Z",
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_an_unknown_event_is_neither_update_nor_final_nor_error(name: DialectName) -> None:
    frame = json.loads(DIALECTS[name].unknown(TURN))
    event = frame.get("event") or frame["channel"]["event_name"]
    assert event != "thread-message-text-content-updated"
    assert not {"id", "sender", "status_code", "errors", "detail"} & frame.keys()


def test_an_answer_in_docs_has_the_documents_fields() -> None:
    message, task = spoken("a microwave")
    body = DIALECTS["docs"].message(message, task)
    assert body["sender"] == {"id": "agent_abc123", "type": "agent", "email": "agent@aui.io"}
    assert body["receiver"] == {"id": "user123", "type": "user", "email": "customer@example.com"}
    assert set(body) == {
        *("id", "created_at", "text", "sender", "receiver"),
        *("options", "variants_options", "followup_suggestions"),
    }
    assert body["options"][0] == {
        "is_recommended": True,
        "widget_parameters": [
            {"title": "Product name", "value": PRODUCTS[0].name, "type": "string"},
            {"title": "Price", "value": "$342.99", "type": "numeric"},
            {"title": "Rating", "value": 4.4, "type": "numeric"},
        ],
    }
    assert [option["is_recommended"] for option in body["options"]] == [True, False, False]
    assert body["variants_options"] == []
    assert len(body["followup_suggestions"]) == 3


def test_an_answer_in_sdk_has_cards_and_no_options() -> None:
    message, task = spoken("a microwave")
    body = DIALECTS["sdk"].message(message, task)
    assert body["sender"] == {"id": "intelligent-agent", "type": "agent", "email": None}
    assert set(body) == {
        *("id", "created_at", "text", "sender", "receiver", "cards", "followup_suggestions"),
    }
    assert body["cards"][0] == {
        "id": "mw-em044kb19",
        "name": PRODUCTS[0].name,
        "parameters": [
            {"title": "Product name", "value": PRODUCTS[0].name, "type": "string"},
            {"title": "Price", "value": "$342.99", "type": "numeric"},
            {"title": "Rating", "value": 4.4, "type": "numeric"},
        ],
        "is_recommended": True,
    }


@pytest.mark.parametrize("name", DIALECTS)
def test_a_users_line_goes_from_user_to_agent_and_offers_nothing(name: DialectName) -> None:
    store = Store()
    task = store.create_task("user123")
    line = store.add_user_message(task, {"text": "!1011 | hi"})
    body = DIALECTS[name].message(line, task)
    assert (body["sender"]["type"], body["receiver"]["type"]) == ("user", "agent")
    assert body["text"] == "!1011 | hi"
    assert body.get("options", body.get("cards")) == []
    assert body["followup_suggestions"] == []


def test_refusals_have_both_shapes_of_the_documents() -> None:
    assert DIALECTS["docs"].unauthorized() == {"detail": "Not authenticated"}
    assert DIALECTS["docs"].invalid([MISSING]) == {"detail": [MISSING_JSON]}
    assert DIALECTS["sdk"].unauthorized() == {"status_code": 401, "errors": ["Unauthorized"]}
    assert DIALECTS["sdk"].invalid([MISSING]) == {"status_code": 422, "errors": [MISSING_JSON]}


def test_a_task_has_the_documents_fields() -> None:
    assert set(task_json(spoken()[1])) == {
        *("id", "user_id", "title", "welcome_message", "followup_suggestions"),
    }
