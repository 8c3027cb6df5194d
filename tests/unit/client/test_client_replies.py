"""Replies as typed values: what they hold, and what is no reply."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from opentelemetry import trace

from tests.unit.client.told import TO, envelope, failed, final, retrying, sent, told, update
from tests.unit.core.builders import FINAL, SOME, json_values
from worker.client.reading import read_reply
from worker.client.replies import Answer, Created, Failed, Final, Retrying, Update
from worker.core.envelope import Envelope, Properties
from worker.core.reply import Reply as Sent
from worker.core.reply import ReplyKind

pytestmark = pytest.mark.anyio


def test_a_reply_says_what_it_is_about() -> None:
    reply = update(2, 3, "I found")
    assert isinstance(reply, Update)
    assert (reply.network, reply.channel, reply.task_id) == ("acme", "sms", "t1")
    assert (reply.job_id, reply.correlation_id, reply.user_id) == ("wamid.1", "c-1", None)
    assert (reply.attempt, reply.seq, reply.place, reply.terminal) == (2, 3, (2, 3), False)
    assert (reply.text, reply.body) == ("I found", {"data": {"text": "I found"}})


def test_a_final_is_the_answer() -> None:
    reply = read_reply(envelope(Sent(ReplyKind.FINAL, TO, FINAL, 1, 9, {"aui-recovered": True})))
    assert isinstance(reply, Final)
    assert reply.terminal
    assert reply.raw == FINAL
    assert reply.text == "I found several built-in microwaves."
    assert (reply.id, reply.recovered) == ("507f1f77bcf86cd799439011", True)
    assert reply.followup_suggestions == ("What is the price range?",)


def test_a_failure_says_why_and_what_to_tell_the_user() -> None:
    reply = failed(1, 1)
    assert isinstance(reply, Failed)
    assert (reply.reason, reply.status_code, reply.message) == ("bad_request", 400, "moderated")
    assert (reply.advice, reply.terminal) == ("rephrase", True)


def test_another_attempt_is_announced() -> None:
    reply = retrying(1, 2)
    assert isinstance(reply, Retrying)
    assert (reply.reason, reply.retry_in, reply.terminal) == ("internal_error", 0.5, False)


def test_a_new_task_is_announced_with_its_user() -> None:
    made = Sent(ReplyKind.CREATED, replace(TO, user_id="u1"), b'{"id":"t1","title":"x"}', 1, 1)
    reply = read_reply(envelope(made))
    assert isinstance(reply, Created)
    assert (reply.user, reply.task.id, reply.task.title) == ("u1", "t1", "x")


def test_an_operation_is_answered_whole() -> None:
    reply = told(ReplyKind.MESSAGES, 1, 1, [{"id": "m"}])
    assert isinstance(reply, Answer)
    assert reply.body == [{"id": "m"}]


def test_one_over_a_reply_to_does_not_tell_its_network() -> None:
    made = Sent(ReplyKind.FINAL, TO, FINAL, 1, 1)
    reply = read_reply(envelope(made, "sub.a.b.c"))
    assert reply is not None
    assert (reply.network, reply.channel) == ("", "")


@pytest.mark.parametrize(
    "message",
    [
        Envelope("", b"{}"),
        Envelope("", b"{}", properties=Properties(type="message.completed")),
        replace(sent(ReplyKind.FINAL, 1, 1), body=b"no json"),
        replace(sent(ReplyKind.FINAL, 1, 1), body=b"[" * 100_000),
    ],
)
def test_what_is_no_reply_is_none(message: Envelope) -> None:
    assert read_reply(message) is None


@SOME
@given(body=json_values)
def test_no_body_is_too_odd_to_be_looked_at(body: Any) -> None:
    """AUI leaves fields out and adds new ones, and a proxy may answer anything."""
    raw = json.dumps(body).encode()
    for kind in ReplyKind:
        reply = read_reply(envelope(Sent(kind, TO, raw, 1, 1)))
        assert reply is not None
        if isinstance(reply, Final):
            assert isinstance(reply.text, str)
            assert isinstance(reply.options, tuple)
        if isinstance(reply, Failed | Retrying):
            assert isinstance(reply.message, str)
        if isinstance(reply, Created):
            assert isinstance(reply.task.id, str)


def test_a_subscriber_can_go_on_with_the_trace() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    reply = told(ReplyKind.FINAL, 1, 1, headers={"traceparent": traceparent})
    span = trace.get_current_span(reply.trace_context).get_span_context()
    assert trace.format_trace_id(span.trace_id) == "0af7651916cd43dd8448eb211c80319c"


async def test_where_no_ack_is_needed_it_does_nothing() -> None:
    reply = final(1, 1)
    await reply.ack()
    await reply.give_back()
