"""What a valid job says: every field, header and property of the contract."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.core.builders import MADE, decode, envelope
from worker.core.body import with_task
from worker.core.envelope import Envelope
from worker.core.headers import size_of
from worker.core.job import Address, Job, attempt_base
from worker.core.job_properties import MAX_HEADER_BYTES, JobRules
from worker.core.pace import EVERY, OFF, Pace
from worker.core.republish import forwarded

BY_USER = b'{"user_id":"+49170","text":"hi"}'
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_job_of_nothing_but_task_and_text_gets_every_default() -> None:
    assert decode(envelope(b'{"task_id":"t1","text":"hi"}')) == Job(
        address=Address(
            network="default",
            job_id=MADE,
            correlation_id=MADE,
            channel="default",
            task_id="t1",
            user_id=None,
            reply_to=None,
            trace={},
        ),
        text="hi",
        request=b'{"task_id":"t1","text":"hi"}',
        pace=EVERY,
        new_conversation=False,
        attempt_base=0,
        maybe_sent=False,
        copied=False,
        published_at=None,
    )


def test_what_a_job_does_not_say_is_the_default_of_its_values() -> None:
    address = Address("default", MADE, MADE, task_id="t1")
    assert decode(envelope()) == Job(address, "hi", b'{"task_id":"t1","text":"hi"}')


def test_a_job_says_everything_the_contract_knows() -> None:
    body = b'{"user_id":"+49170","task_id":"t1","text":" hi ","x":1.10}'
    headers = {
        "aui-channel": "sms",
        "aui-updates": "250ms",
        "aui-conversation": "new",
        "aui-attempt-base": 128,
        "aui-maybe-sent": True,
        "traceparent": TRACE,
        "tracestate": "a=b",
        "anything": {"else": [None]},
    }
    message = Envelope(
        network="acme",
        body=body,
        routing_key="7f",
        properties=envelope(
            headers=headers,
            message_id="wamid.1",
            correlation_id="c-1",
            reply_to="sub.bot",
            type="message.send",
            timestamp=datetime(2026, 1, 1, tzinfo=UTC),
            expiration="60000",
            user_id="guest",
        ).properties,
    )
    assert decode(message) == Job(
        address=Address(
            network="acme",
            job_id="wamid.1",
            correlation_id="c-1",
            channel="sms",
            task_id="t1",
            user_id="+49170",
            reply_to="sub.bot",
            trace={"traceparent": TRACE, "tracestate": "a=b"},
        ),
        text=" hi ",
        request=body,
        pace=Pace(0.25),
        new_conversation=True,
        attempt_base=128,
        maybe_sent=True,
        copied=True,
        published_at=1767225600.0,
    )


def test_a_job_by_user_has_no_task_yet() -> None:
    address = decode(envelope(BY_USER)).address
    assert (address.task_id, address.user_id) == (None, "+49170")


@pytest.mark.parametrize(
    ("value", "pace"),
    [("every", EVERY), ("off", OFF), ("1ms", Pace(0.001)), ("999999ms", Pace(999.999))],
)
def test_updates_come_at_the_pace_that_is_wanted(value: str, pace: Pace) -> None:
    assert decode(envelope(headers={"aui-updates": value})).pace == pace


@pytest.mark.parametrize(("value", "new"), [("latest", False), ("new", True)])
def test_a_conversation_is_continued_unless_a_new_one_is_wanted(value: str, new: bool) -> None:
    assert decode(envelope(headers={"aui-conversation": value})).new_conversation is new


@pytest.mark.parametrize(
    ("properties", "ids"),
    [
        ({}, (MADE, MADE)),
        ({"message_id": "j"}, ("j", "j")),
        ({"message_id": "j", "correlation_id": "c"}, ("j", "c")),
        ({"correlation_id": "c"}, (MADE, "c")),
        ({"message_id": "", "correlation_id": ""}, (MADE, MADE)),
        ({"message_id": "x" * 128}, ("x" * 128, "x" * 128)),
        ({"message_id": "é" * 64}, ("é" * 64, "é" * 64)),
    ],
)
def test_the_ids_of_a_job(properties: dict[str, Any], ids: tuple[str, str]) -> None:
    address = decode(envelope(**properties)).address
    assert (address.job_id, address.correlation_id) == ids


@pytest.mark.parametrize(
    ("reply_to", "expected"),
    [
        ("amq.rabbitmq.reply-to.g1h2AA", "amq.rabbitmq.reply-to.g1h2AA"),
        ("amq.gen-1", "amq.gen-1"),
        ("sub.bot", "sub.bot"),
        ("", None),
        (None, None),
    ],
)
def test_replies_also_go_to_a_queue_that_may_be_one(reply_to: Any, expected: str | None) -> None:
    assert decode(envelope(reply_to=reply_to)).address.reply_to == expected


def test_an_operator_chooses_the_queues_that_replies_may_go_to() -> None:
    rules = JobRules(reply_to=re.compile("^bots-"))
    assert decode(envelope(reply_to="bots-1"), rules).address.reply_to == "bots-1"


@pytest.mark.parametrize("kind", [None, "", "message.send"])
def test_a_job_need_not_name_its_type(kind: str | None) -> None:
    assert decode(envelope(type=kind)).text == "hi"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": TRACE}, {"traceparent": TRACE}),
        ({"traceparent": TRACE, "tracestate": "a=b"}, {"traceparent": TRACE, "tracestate": "a=b"}),
        ({"traceparent": TRACE, "tracestate": "a" * 513}, {"traceparent": TRACE}),
        ({"traceparent": TRACE, "tracestate": ["a"]}, {"traceparent": TRACE}),
        ({"tracestate": "a=b"}, {}),
        ({"traceparent": 7}, {}),
        ({"traceparent": b"x", "tracestate": "a=b"}, {}),
        ({"traceparent": f"{TRACE}-more"}, {}),
        ({"traceparent": "x" * 30_000}, {}),
    ],
)
def test_a_malformed_trace_context_is_dropped(
    headers: dict[str, Any], expected: dict[str, str]
) -> None:
    assert decode(envelope(headers=headers)).address.trace == expected


@pytest.mark.parametrize(
    ("message", "maybe_sent", "copied"),
    [
        (envelope(), False, False),
        (envelope(redelivered=True), True, False),
        (envelope(headers={"x-delivery-count": 0}), False, False),
        (envelope(headers={"x-delivery-count": 1}), True, False),
        (envelope(headers={"aui-maybe-sent": True}), True, True),
        (envelope(headers={"aui-maybe-sent": True}, redelivered=True), True, True),
        (envelope(headers={"aui-maybe-sent": False}), False, False),
        (envelope(headers={"aui-maybe-sent": False}, redelivered=True), True, False),
        (envelope(headers={"aui-attempt-base": 64}), False, False),
    ],
)
def test_a_message_may_have_been_sent_before_by_this_copy_or_another(
    message: Envelope, maybe_sent: bool, copied: bool
) -> None:
    job = decode(message)
    assert (job.maybe_sent, job.copied) == (maybe_sent, copied)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (None, None),
        (datetime(1970, 1, 1, tzinfo=UTC), 0.0),
        (datetime(2026, 1, 1, tzinfo=UTC), 1767225600.0),
    ],
)
def test_a_job_was_published_when_its_timestamp_says(
    timestamp: datetime | None, expected: float | None
) -> None:
    assert decode(envelope(timestamp=timestamp)).published_at == expected


@pytest.mark.parametrize(
    ("headers", "redelivered", "expected"),
    [
        ({}, False, 0),
        ({}, True, 64),
        ({"x-delivery-count": 0}, True, 64),
        ({"x-delivery-count": 3}, True, 192),
        ({"aui-attempt-base": 5}, False, 5),
        ({"aui-attempt-base": 5, "x-delivery-count": 2}, True, 133),
        ({"aui-attempt-base": 2**31}, False, 2**31),
    ],
)
def test_attempts_are_counted_on_from_delivery_to_delivery(
    headers: dict[str, Any], redelivered: bool, expected: int
) -> None:
    message = envelope(headers=headers, redelivered=redelivered)
    assert attempt_base(message) == expected
    assert decode(message).attempt_base == expected


def test_the_largest_body_is_a_job_and_so_is_its_copy() -> None:
    """A job by user of exactly the limit is still a job when its task stands in front."""
    padding = "x" * (JobRules().max_bytes - len(BY_USER) - len(b'"p":"",'))
    body = b'{"p":"%s",' % padding.encode() + BY_USER[1:]
    assert len(body) == 262144
    first = envelope(body)
    assert decode(first).address.user_id == "+49170"
    copy = Envelope("default", with_task(body, "t" * 64), properties=forwarded(first, 1))
    assert decode(copy).address.task_id == "t" * 64


def test_the_largest_headers_are_a_job_s_and_so_are_their_copy_s() -> None:
    """Neither what the broker adds nor what a copy is renamed to makes a job invalid."""
    headers = {"h": "é" * (16 * 1024 - 64), "x-own": "y" * 4096, "CC": ["a"]}
    first = envelope(headers=headers, redelivered=True, user_id="guest", expiration="60000")
    assert decode(first).text == "hi"
    properties = forwarded(first, 64, 1767225660.0)
    counted = {**properties.headers, "x-delivery-count": 1, "x-acquired-count": 1}
    copy = envelope(headers=counted, redelivered=True)
    assert decode(copy).attempt_base == 128
    assert properties.headers["h"] == headers["h"]


def test_headers_of_exactly_the_limit_still_are_with_all_that_a_copy_gets_from_us() -> None:
    headers: dict[str, Any] = {"h": ""}
    headers["h"] = "y" * (MAX_HEADER_BYTES - size_of(headers))
    first = envelope(headers=headers, redelivered=True)
    properties = forwarded(first, 64, 1767225660.0)
    added = set(properties.headers) - set(headers)
    assert added == {"aui-attempt-base", "aui-maybe-sent", "aui-expires-at"}
    assert decode(Envelope("default", first.body, properties=properties)).copied


def test_neither_text_nor_request_is_shown_by_repr() -> None:
    assert "secret words" not in repr(decode(envelope({"task_id": "t", "text": "secret words"})))
