"""Replies: names, numbers and bodies as subscribers know them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import FINAL, SOME, texts
from worker.core.job import Address
from worker.core.reply import Replies, Reply, ReplyKind, failure_of
from worker.core.update import Update
from worker.core.verdict import Source, judge

TO = Address(
    network="acme",
    job_id="wamid.1",
    correlation_id="c-1",
    channel="sms",
    task_id="t1",
    trace={"traceparent": "00-a-b-01"},
)
INTERNAL = judge(Source.SERVER_CLOSE, 1011, detail="AUI closed with 1011")
REFUSED = judge(Source.STATUS, 400, detail="moderated", error=b'{"status_code":400,"more":1}')


def replies(base: int = 0, address: Address = TO) -> Replies:
    """Replies within their first attempt."""
    numbered = Replies(address, base)
    numbered.begin_attempt()
    return numbered


@pytest.mark.parametrize(
    ("reply", "key", "kind", "terminal"),
    [
        (replies().update(Update.saying("a")), "acme.sms.t1.update", "message.updated", False),
        (replies().final(FINAL), "acme.sms.t1.final", "message.completed", True),
        (replies().failed(INTERNAL), "acme.sms.t1.failed", "message.failed", True),
        (replies().retrying(INTERNAL, 1), "acme.sms.t1.retrying", "message.retrying", False),
        (replies().created(b"{}"), "acme.sms.t1.created", "task.created", False),
    ],
)
def test_each_kind_has_its_key_and_type(reply: Reply, key: str, kind: str, terminal: bool) -> None:
    assert (reply.routing_key, reply.type, reply.terminal) == (key, kind, terminal)


def test_every_kind_has_a_type() -> None:
    made = [Reply(kind, TO, b"", 1, 1).type for kind in ReplyKind]
    assert len(set(made)) == len(ReplyKind)


def test_an_unknown_task_is_an_underscore_and_no_header() -> None:
    reply = replies(address=replace(TO, task_id=None, user_id="+49170")).failed(INTERNAL)
    assert reply.routing_key == "acme.sms._.failed"
    assert "aui-task-id" not in reply.headers
    assert reply.headers["aui-user-id"] == "+49170"


@pytest.mark.parametrize(
    ("reply", "more"),
    [
        (replies().update(Update.saying("a")), {}),
        (replies().final(FINAL), {}),
        (replies().final(FINAL, recovered=False), {}),
        (replies().final(FINAL, recovered=True), {"aui-recovered": True}),
        (replies().created(b"{}"), {}),
        (replies().failed(INTERNAL), {"aui-reason": "internal_error"}),
        (
            replies().retrying(INTERNAL, 1.23456),
            {"aui-reason": "internal_error", "aui-retry-in": 1.235},
        ),
    ],
)
def test_the_headers_of_a_reply(reply: Reply, more: dict[str, object]) -> None:
    assert reply.headers == {
        "aui-job-id": "wamid.1",
        "aui-task-id": "t1",
        "aui-attempt": 1,
        "aui-seq": 1,
        "aui-schema": 1,
        "traceparent": "00-a-b-01",
        **more,
    }


def test_seq_rises_within_an_attempt_and_starts_again_in_the_next() -> None:
    numbered = replies(base=128)
    sent = [
        numbered.update(Update.saying("a")),
        numbered.update(Update.saying("ab")),
        numbered.retrying(INTERNAL, 0.5),
    ]
    numbered.begin_attempt()
    sent += [numbered.update(Update.saying("a")), numbered.final(FINAL)]
    assert [reply.message_id for reply in sent] == [
        "wamid.1:129:1",
        "wamid.1:129:2",
        "wamid.1:129:3",
        "wamid.1:130:1",
        "wamid.1:130:2",
    ]
    assert [(reply.attempt, reply.seq) for reply in sent] == [
        (129, 1),
        (129, 2),
        (129, 3),
        (130, 1),
        (130, 2),
    ]


@SOME
@given(plan=st.lists(st.booleans(), max_size=20), base=st.integers(0, 2**31))
def test_a_later_reply_always_beats_an_earlier_one(plan: list[bool], base: int) -> None:
    numbered = replies(base)
    sent: list[Reply] = []
    for again in plan:
        sent.append(numbered.update(Update.saying("x")))
        if again:
            numbered.begin_attempt()
    places = [(reply.attempt, reply.seq) for reply in sent]
    assert places == sorted(set(places))


@SOME
@given(text=texts)
def test_an_update_is_the_documents_event_with_the_text(text: str) -> None:
    body = replies().update(Update.saying(text)).body
    assert json.loads(body) == {
        "event": "thread-message-text-content-updated",
        "data": {"text": text},
    }


def test_an_update_is_compact_utf_8() -> None:
    body = '{"event":"thread-message-text-content-updated","data":{"text":"é ☃"}}'
    assert replies().update(Update.saying("é ☃")).body == body.encode("utf-8")


def test_an_update_with_half_an_emoji_is_still_json() -> None:
    body = replies().update(Update.saying("cut \ud83d")).body
    assert json.loads(body)["data"]["text"] == "cut \ud83d"
    assert body.decode("utf-8")


def test_a_final_is_handed_on_byte_for_byte() -> None:
    assert replies().final(FINAL).body is FINAL
    assert replies().final(FINAL, recovered=True).body is FINAL


def test_no_body_is_shown_by_repr() -> None:
    assert "microwaves" not in repr(replies().final(FINAL))


def test_a_created_task_is_handed_on_byte_for_byte() -> None:
    task = b'{ "id": "t1" }'
    assert replies().created(task).body is task


@pytest.mark.parametrize(
    "reply", [replies().failed(REFUSED), replies().retrying(REFUSED, 1)], ids=str
)
def test_a_failure_repeats_what_aui_said(reply: Reply) -> None:
    assert reply.body == b'{"status_code":400,"more":1}'


@pytest.mark.parametrize(
    ("source", "code", "detail", "expected"),
    [
        (
            Source.SERVER_CLOSE,
            1011,
            "AUI closed with 1011",
            (None, "internal error", "AUI closed with 1011", "internal_error"),
        ),
        (Source.STATUS, 503, "", (503, "upstream error", "upstream_error", "upstream_error")),
        (Source.INVALID_JOB, None, "text: x", (None, "invalid job", "text: x", "invalid_job")),
    ],
)
def test_a_failure_is_made_up_in_auis_shape_where_aui_said_nothing(
    source: Source, code: int | None, detail: str, expected: tuple[int | None, str, str, str]
) -> None:
    status, description, message, reason = expected
    assert json.loads(failure_of(judge(source, code, detail=detail))) == {
        "status_code": status,
        "description": description,
        "message": message,
        "extra_data": {"reason": reason},
    }


@pytest.mark.parametrize("on_hub", [True, False])
def test_replies_about_what_is_no_job_stay_off_the_hub(on_hub: bool) -> None:
    numbered = Replies(TO, 0, on_hub=on_hub)
    assert [numbered.update(Update.saying("a")).on_hub, numbered.failed(INTERNAL).on_hub] == [
        on_hub,
        on_hub,
    ]


def test_replies_go_to_the_hub_and_count_from_one_unless_told_otherwise() -> None:
    reply = Replies(TO, 5).failed(INTERNAL)
    assert (reply.on_hub, reply.attempt, reply.seq) == (True, 5, 1)
    assert Reply(ReplyKind.FINAL, TO, b"", 1, 1).on_hub


def test_a_task_found_later_is_in_the_replies_from_then_on() -> None:
    numbered = replies(address=replace(TO, task_id=None))
    before = numbered.retrying(INTERNAL, 1).routing_key
    numbered.address = replace(TO, task_id="t9")
    assert (before, numbered.created(b"{}").routing_key) == (
        "acme.sms._.retrying",
        "acme.sms.t9.created",
    )
