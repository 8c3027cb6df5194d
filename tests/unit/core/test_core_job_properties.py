"""A job is a codec: what a producer wrote is what the worker reads, whatever it is."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import (
    MADE,
    MANY,
    RULES,
    SOME,
    addressed,
    decode,
    envelope,
    json_values,
    spoken,
    texts,
    words,
)
from worker.core.body import is_word, with_task
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.job import Job
from worker.core.pace import EVERY, OFF, Pace
from worker.core.republish import forwarded

KNOWN = ("task_id", "user_id", "text", "context")
PACES = {"every": EVERY, "off": OFF, "250ms": Pace(0.25), "1000ms": Pace(1.0)}

user_ids = spoken.filter(lambda text: len(text.encode()) <= 256)
whole_contexts = st.fixed_dictionaries(
    {
        "url": st.none() | texts,
        "lead_details": st.none() | st.dictionaries(texts, json_values, max_size=3),
    }
)
further = st.dictionaries(texts.filter(lambda name: name not in KNOWN), json_values, max_size=3)
by_task = st.fixed_dictionaries(
    {"task_id": words, "text": spoken}, optional={"user_id": user_ids, "context": whole_contexts}
)
by_user = st.fixed_dictionaries(
    {"user_id": user_ids, "text": spoken}, optional={"context": whole_contexts}
)
short = texts.filter(lambda text: 0 < len(text.encode()) <= 128)
surprises = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(["every", "new", "sms", "1ms", "00-x-y-01"]),
)
header_names = st.sampled_from(
    [
        "aui-channel",
        "aui-updates",
        "aui-conversation",
        "aui-attempt-base",
        "aui-maybe-sent",
        "traceparent",
        "tracestate",
        "x-delivery-count",
        "x-death",
    ]
)
bodies = (
    st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(KNOWN), json_values | words, max_size=4).map(
        lambda body: json.dumps(body).encode()
    )
)
anything = st.builds(
    envelope,
    bodies,
    st.dictionaries(header_names, surprises, max_size=4),
    redelivered=st.booleans(),
    message_id=st.none() | st.text(),
    correlation_id=st.none() | st.text(),
    reply_to=st.none() | st.text() | texts.map(lambda text: f"sub.{text}"),
    type=st.none() | st.text() | st.just("message.send"),
)


FIELDS = {
    "body",
    "task_id",
    "user_id",
    "text",
    "context",
    "context.url",
    "context.lead_details",
    "type",
    "message_id",
    "reply_to",
    "headers",
    "aui-channel",
    "aui-updates",
    "aui-conversation",
    "aui-attempt-base",
    "aui-maybe-sent",
}
"""All that can be at fault, in the words of the contract."""


def read_or_refused(message: Envelope) -> Job | InvalidJob:
    """The job, or why it is none."""
    try:
        return decode(message)
    except InvalidJob as refused:
        return refused


@MANY
@given(
    body=by_task,
    more=further,
    job_id=short,
    correlation_id=st.none() | short,
    channel=words,
    pace=st.sampled_from(sorted(PACES)),
    conversation=st.sampled_from(["latest", "new"]),
    base=st.integers(0, 2**31),
    maybe_sent=st.booleans(),
    indent=st.none() | st.integers(0, 2),
)
def test_an_encoded_job_decodes_to_its_values(
    body: dict[str, Any],
    more: dict[str, Any],
    job_id: str,
    correlation_id: str | None,
    channel: str,
    pace: str,
    conversation: str,
    base: int,
    maybe_sent: bool,
    indent: int | None,
) -> None:
    """Every value comes back, and unknown fields stay in the request byte for byte."""
    raw = json.dumps({**more, **body}, indent=indent, ensure_ascii=bool(indent)).encode()
    headers = {
        "aui-channel": channel,
        "aui-updates": pace,
        "aui-conversation": conversation,
        "aui-attempt-base": base,
        "aui-maybe-sent": maybe_sent,
    }
    job = decode(envelope(raw, headers, message_id=job_id, correlation_id=correlation_id))
    address = job.address
    assert job.request is raw
    assert (address.task_id, address.user_id) == (body["task_id"], body.get("user_id"))
    assert (address.job_id, address.correlation_id) == (job_id, correlation_id or job_id)
    assert (address.channel, job.text, job.pace) == (channel, body["text"], PACES[pace])
    assert job.new_conversation is (conversation == "new")
    assert (job.attempt_base, job.maybe_sent) == (base, maybe_sent)


@MANY
@given(body=by_user, more=further, task_id=words, context=st.none() | st.just({"url": "u"}))
def test_a_job_by_user_becomes_one_by_task(
    body: dict[str, Any], more: dict[str, Any], task_id: str, context: dict[str, Any] | None
) -> None:
    """With its task in front a job by user says the same, in all its fields."""
    fields = {**more, **body} | ({"context": context} if context else {})
    first = envelope(fields, message_id="j")
    before = decode(first)
    copy = Envelope(
        "default", with_task(first.body, task_id), properties=forwarded(first, before.attempt_base)
    )
    after = decode(copy)
    assert (after.address.task_id, after.address.user_id) == (task_id, body["user_id"])
    assert after.text == before.text
    assert json.loads(after.request) == {"task_id": task_id, **json.loads(before.request)}


@MANY
@given(message=anything)
def test_any_message_is_a_job_or_names_the_field_at_fault(message: Envelope) -> None:
    """A producer's mistake is never a bug of ours."""
    read = read_or_refused(message)
    if isinstance(read, InvalidJob):
        assert read.field in FIELDS
        assert read.problem.isascii()
    else:
        assert is_word(read.address.task_id) or read.address.user_id
        assert is_word(read.address.channel)
        assert read.text.strip()


@MANY
@given(message=anything)
def test_an_address_is_made_out_of_anything(message: Envelope) -> None:
    """It yields only words that a routing key can hold, and ids that a property can."""
    address = addressed(message)
    assert address.task_id is None or is_word(address.task_id)
    assert is_word(address.channel)
    assert 0 < len(address.job_id.encode()) <= 128
    assert len((address.user_id or "").encode()) <= 256
    assert address.reply_to is None or RULES.reply_to.search(address.reply_to)
    assert all(isinstance(value, str) for value in address.trace.values())


@SOME
@given(message=anything)
def test_a_job_and_its_address_agree(message: Envelope) -> None:
    """What is made out of an invalid job is what a valid one would have said."""
    read = read_or_refused(message)
    if isinstance(read, Job):
        assert addressed(message) == read.address


@SOME
@given(count=st.integers() | st.booleans() | st.none() | st.text(), redelivered=st.booleans())
def test_an_attempt_number_always_fits_into_a_header(count: object, redelivered: bool) -> None:
    """Whatever a producer writes as the broker's own count, numbers stay within 64 bits."""
    properties = Properties(headers={"x-delivery-count": count})
    message = Envelope("default", b'{"task_id":"t","text":"x"}', "", properties, redelivered)
    copy = envelope(headers={"aui-attempt-base": decode(message).attempt_base})
    assert 0 <= decode(copy).attempt_base < 2**31
    assert decode(copy).address.job_id == MADE
