"""Jobs as the client makes them: as the contract has them, or an error that names the argument."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, json_values, spoken
from worker.client.errors import InvalidRequest
from worker.client.requests import JobOptions, Request, Requests
from worker.core.envelope import Envelope
from worker.core.job import Job, decode
from worker.core.job_properties import JobRules
from worker.core.operation import Operation
from worker.core.slots import slot_of

NOW = datetime(2026, 3, 9, 14, 22, tzinfo=UTC)
MAKE = Requests("acme", "web", 4096, lambda: NOW)


def message(text: str = "hi", task_id: str | None = "t1", **more: Any) -> Request:
    """Make a job."""
    kept = {"user_id": more.pop("user_id", None)}
    ours = {name: more.pop(name) for name in ("updates", "reply_to") if name in more}
    return MAKE.message(text, task_id, kept["user_id"], more, **ours)  # type: ignore[arg-type]


def decoded(request: Request) -> Job:
    """Read a job as a worker does."""
    envelope = Envelope(request.network, request.body, request.key, request.properties)
    job = decode(envelope, JobRules(), str)
    assert isinstance(job, Job)
    return job


def test_a_job_is_what_the_contract_says() -> None:
    request = message("hi", updates="250ms", context={"url": "https://x"}, job_id="wamid.1")
    assert json.loads(request.body) == {
        "task_id": "t1",
        "text": "hi",
        "context": {"url": "https://x"},
    }
    assert (request.exchange, request.key) == ("aui.jobs.acme", slot_of("t1"))
    assert request.properties.type == "message.send"
    assert request.properties.message_id == request.job_id == "wamid.1"
    assert request.properties.timestamp == NOW
    assert request.properties.headers == {"aui-channel": "web", "aui-updates": "250ms"}


def test_a_call_overrides_the_client() -> None:
    request = message(network="globex", channel="sms", expires_in=1.5, correlation_id="c")
    assert request.exchange == "aui.jobs.globex"
    assert request.properties.headers["aui-channel"] == "sms"
    assert (request.properties.expiration, request.properties.correlation_id) == ("1500", "c")


def test_a_job_by_user_may_begin_a_conversation() -> None:
    request = message(task_id=None, user_id="+49 170", new_conversation=True)
    assert request.key == slot_of("+49 170")
    assert decoded(request).new_conversation


def test_two_jobs_without_an_id_have_different_ones() -> None:
    assert message().job_id != message().job_id


@SOME
@given(text=spoken, lead=st.dictionaries(st.text(max_size=5), json_values, max_size=3))
def test_whatever_is_said_reaches_the_worker_as_it_is(text: str, lead: dict[str, Any]) -> None:
    request = Requests().message(text, "t1", None, {"context": {"lead_details": lead}})
    assert decoded(request).text == text
    assert json.loads(request.body)["context"]["lead_details"] == lead


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"task_id": "a.b"}, "task_id must match"),
        ({"task_id": None}, "task_id or user_id: give exactly one"),
        ({"user_id": "u"}, "task_id or user_id: give exactly one"),
        ({"task_id": None, "user_id": " "}, "user_id must be text"),
        ({"task_id": None, "user_id": "u" * 257}, "user_id 257 bytes are above"),
        ({"text": " "}, "text must not be empty"),
        ({"text": 7}, "text must be text"),
        ({"text": "x" * 5000}, "body 5"),
        ({"text": "\ud83d"}, "text must be valid Unicode"),
        ({"network": "a.b"}, "network must match"),
        ({"network": "unslotted"}, "network must not be"),
        ({"channel": "a b"}, "channel must match"),
        ({"updates": "often"}, "updates must be 'every'"),
        ({"job_id": "x" * 129}, "job_id 129 bytes are above"),
        ({"correlation_id": "x" * 256}, "correlation_id must have 1 to 255"),
        ({"reply_to": ""}, "reply_to must have 1 to 255"),
        ({"context": []}, "context must be an object"),
        ({"context": {"url": 1}}, "context.url must be text"),
        ({"context": {"lead_details": object()}}, "context is not JSON"),
        ({"context": {"lead_details": {"a": float("nan")}}}, "context is not JSON"),
        ({"new_conversation": True}, "new_conversation is for a job by user_id"),
        ({"expires_in": 0}, "expires_in must be"),
        ({"expires_in": float("inf")}, "expires_in must be"),
        ({"expires_in": 1e9}, "expires_in must be"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_published(
    wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        message(**wrong)
    assert str(refused.value).startswith(field)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("operation", "body", "field"),
    [
        (Operation.CREATE, {"user_id": ""}, "user_id must be text"),
        (Operation.LIST, {"user_id": "u", "page": 0}, "page must"),
        (Operation.LIST, {"user_id": "u", "size": 101}, "size must"),
        (Operation.MESSAGES, {"task_id": "a.b"}, "task_id must match"),
    ],
)
def test_an_operation_is_checked_likewise(
    operation: Operation, body: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        MAKE.operation(operation, body, JobOptions(), "sub.mine")
    assert str(refused.value).startswith(field)


def test_an_operation_is_answered_to_ones_own_queue() -> None:
    request = MAKE.operation(Operation.LIST, {"user_id": "u"}, {"job_id": "j"}, "sub.mine")
    assert (request.properties.type, request.properties.reply_to) == ("task.list", "sub.mine")
    assert (request.key, request.job_id) == (slot_of("u"), "j")
