"""Requests about tasks: what they ask for, and what is refused of them."""

import json
from typing import Any

import pytest

from tests.unit.core.builders import MADE, asked, decode, envelope
from worker.core import headers as h
from worker.core.conversation import PAGE_SIZE
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.operation import Operation

USER = {"user_id": "+49 170"}
TASK = {"task_id": "t1"}


def asking(kind: str, body: dict[str, Any], **properties: Any) -> Envelope:
    """Return a request."""
    properties.setdefault("reply_to", "sub.asker")
    return envelope(json.dumps(body).encode(), type=kind, **properties)


def test_a_task_is_asked_for_by_user() -> None:
    request = asked(asking("task.create", USER, message_id="r1", correlation_id="c1"))
    assert request.operation is Operation.CREATE
    assert (request.address.user_id, request.address.task_id) == ("+49 170", None)
    assert (request.address.job_id, request.address.correlation_id) == ("r1", "c1")
    assert request.address.reply_to == "sub.asker"
    assert not request.anywhere


@pytest.mark.parametrize(
    ("body", "page", "size"),
    [(USER, 1, PAGE_SIZE), (USER | {"page": 3, "size": 10}, 3, 10), (USER | {"page": None}, 1, 50)],
)
def test_tasks_are_listed_page_by_page(body: dict[str, Any], page: int, size: int) -> None:
    request = asked(asking("task.list", body))
    assert (request.operation, request.page, request.size) == (Operation.LIST, page, size)
    assert request.address.job_id == MADE
    assert request.anywhere


def test_a_task_is_read_by_its_id() -> None:
    request = asked(asking("task.messages", TASK | {"user_id": "ignored"}))
    assert request.operation is Operation.MESSAGES
    assert (request.address.task_id, request.address.user_id) == ("t1", None)
    assert request.anywhere


def test_what_came_before_is_counted_as_for_jobs() -> None:
    message = asking("task.create", USER, headers={h.ATTEMPT_BASE: 3, h.DELIVERY_COUNT: 1})
    request = asked(message)
    assert (request.attempt_base, request.repeated) == (3 + ATTEMPTS_PER_DELIVERY, True)
    assert asked(asking("task.create", USER, headers={h.MAYBE_SENT: True})).repeated
    assert not asked(asking("task.create", USER)).repeated


@pytest.mark.parametrize(
    ("kind", "body", "properties", "field"),
    [
        ("task.create", USER, {"reply_to": None}, "reply_to"),
        ("task.create", USER, {"reply_to": "jobs"}, "reply_to"),
        ("task.create", TASK, {}, "user_id"),
        ("task.create", {"user_id": " "}, {}, "user_id"),
        ("task.list", {}, {}, "user_id"),
        ("task.list", USER | {"page": 0}, {}, "page"),
        ("task.list", USER | {"page": True}, {}, "page"),
        ("task.list", USER | {"size": 101}, {}, "size"),
        ("task.list", USER | {"size": "10"}, {}, "size"),
        ("task.messages", USER, {}, "task_id"),
        ("task.messages", {"task_id": "a b"}, {}, "task_id"),
        ("task.delete", USER, {}, "type"),
    ],
)
def test_a_request_that_breaks_the_contract_names_the_field(
    kind: str, body: dict[str, Any], properties: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidJob) as caught:
        asked(asking(kind, body, **properties))
    assert caught.value.field == field


def test_a_message_may_go_over_rest() -> None:
    body = json.dumps({"task_id": "t1", "text": "hi"}).encode()
    assert not decode(envelope(body, type="message.post")).streamed
    assert decode(envelope(body, type="message.send")).streamed
    assert decode(envelope(body)).streamed
