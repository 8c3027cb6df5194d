"""What the schemas of a job take, the worker takes, and the other way round."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.unit.core.builders import RULES, json_values, spoken, texts, words
from worker.contract import documents
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.job import MAX_ATTEMPT_BASE, MAX_PAGE, MAX_PAGE_SIZE, decode
from worker.core.operation import Operation

WRITTEN = documents()
PARTS = ("body", "headers", "properties")
SPACES = "".join(chr(code) for code in range(0x10000) if chr(code).isspace())

blanks = st.text(st.sampled_from(SPACES), max_size=3)
almost_words = st.sampled_from(
    ["", "a.b", "t1\n", "\nt1", "a" * 64, "a" * 65, "#", "ü", "unslotted"]
)
almost_users = st.sampled_from(
    ["+49 170 1234567", "u" * 256, "u" * 257, "\u200b", "\ufeff", "\x1c"]
)
surprises = json_values.filter(lambda value: not (isinstance(value, float) and value.is_integer()))
"""Any value; a whole number with a fraction is one for JSON Schema alone."""


def around(*numbers: int) -> st.SearchStrategy[int]:
    """Draw a number at a limit, or next to it."""
    return st.sampled_from([number + step for number in numbers for step in (-1, 0, 1)])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object with some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


users = spoken.filter(lambda text: len(text.encode()) <= 256)
leads = st.dictionaries(texts, json_values, max_size=2)
contexts = st.none() | some(url=st.none() | texts, lead_details=st.none() | leads)
messages = st.fixed_dictionaries(
    {"task_id": words, "text": spoken}, optional={"user_id": users, "context": contexts}
) | st.fixed_dictionaries({"user_id": users, "text": spoken}, optional={"context": contexts})
GOOD_BODIES: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    Operation.SEND: messages,
    Operation.POST: messages,
    Operation.CREATE: st.fixed_dictionaries({"user_id": users}),
    Operation.LIST: st.fixed_dictionaries(
        {"user_id": users},
        optional={"page": st.integers(1, 9), "size": st.integers(1, MAX_PAGE_SIZE)},
    ),
    Operation.MESSAGES: st.fixed_dictionaries({"task_id": words}),
}
good_headers = some(
    **{
        "aui-channel": words,
        "aui-updates": st.sampled_from(["every", "off", "250ms"]),
        "aui-conversation": st.sampled_from(["latest", "new"]),
        "traceparent": texts,
        "own": json_values,
    }
)
good_properties = some(
    message_id=st.just("m" * 128), correlation_id=st.just("c1"), expiration=st.just("1000")
)
CHANGES: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "body": {
        "task_id": almost_words | surprises,
        "user_id": almost_users | blanks | surprises,
        "text": blanks | surprises,
        "context": some(url=surprises, lead_details=surprises) | surprises,
        "page": around(1, MAX_PAGE) | surprises,
        "size": around(1, MAX_PAGE_SIZE) | surprises,
        "more": surprises,
    },
    "headers": {
        "aui-channel": almost_words | surprises,
        "aui-updates": surprises
        | st.sampled_from(["999999ms", "1000000ms", "0ms", "1.5ms", "off\n", "Off"]),
        "aui-conversation": surprises | st.just("newest"),
        "aui-attempt-base": around(0, MAX_ATTEMPT_BASE) | surprises,
        "aui-maybe-sent": st.booleans() | surprises,
        "aui-expires-at": surprises,
        "traceparent": surprises,
        "tracestate": surprises,
    },
    "properties": {
        "type": st.sampled_from([*map(str, Operation), "message.sent"]),
        "message_id": st.just("m" * 129),
        "reply_to": st.sampled_from(["sub.a", "amq.rabbitmq.reply-to", "answers", "x.sub.a"]),
    },
}
GONE = object()


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the parts of a good job, and change a few."""
    operation = draw(st.sampled_from(list(Operation)))
    parts: dict[str, Any] = {
        "body": draw(GOOD_BODIES[operation]),
        "headers": draw(good_headers),
        "properties": draw(good_properties),
    }
    if operation is not Operation.SEND or draw(st.booleans()):
        parts["properties"] |= {"type": str(operation), "reply_to": "sub.a"}
    for _ in range(draw(st.integers(0, 2))):
        part = draw(st.sampled_from(PARTS))
        name, changes = draw(st.sampled_from(sorted(CHANGES[part].items())))
        value = draw(st.just(GONE) | changes)
        if value is GONE:
            parts[part].pop(name, None)
        else:
            parts[part][name] = value
    return parts


@cache
def validator(operation: str, part: str) -> jsonschema_rs.Validator:
    """The validator of a part of a job."""
    return jsonschema_rs.validator_for(json.loads(WRITTEN[f"schemas/jobs/{operation}/{part}.json"]))


def by_schema(parts: Mapping[str, Any]) -> bool:
    """Whether the published contract takes it; what is of no type of its, it does not know."""
    kind = parts["properties"].get("type", Operation.SEND)
    known = kind in list(Operation)
    return known and all(validator(kind, part).is_valid(parts[part]) for part in PARTS)


def by_worker(body: bytes, headers: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether the worker takes it."""
    told = Properties(headers=headers, **properties)
    try:
        decode(Envelope("default", body, properties=told), RULES, lambda: "made")
    except InvalidJob:
        return False
    return True


@given(job=jobs())
def test_schema_and_worker_agree(job: Mapping[str, Any]) -> None:
    event("taken" if by_schema(job) else "refused")
    raw = json.dumps(job["body"]).encode()
    assert by_schema(job) is by_worker(raw, job["headers"], job["properties"])


@given(body=surprises)
def test_they_agree_on_any_body(body: object) -> None:
    assert by_schema({"body": body, "headers": {}, "properties": {}}) is by_worker(
        json.dumps(body).encode(), {}, {}
    )


@pytest.mark.parametrize("space", SPACES)
def test_both_agree_on_what_is_blank(space: str) -> None:
    body = {"task_id": "t1", "text": space * 2}
    assert not validator("message.send", "body").is_valid(body)
    assert validator("message.send", "body").is_valid(body | {"text": f"{space}a"})


GOOD = {"task_id": "t1", "text": "hello"}
UNSAYABLE: dict[str, tuple[bytes, dict[str, Any], dict[str, Any]]] = {
    "a user id is limited in bytes": (json.dumps(GOOD | {"user_id": "ü" * 129}).encode(), {}, {}),
    "so is a job id": (json.dumps(GOOD).encode(), {}, {"message_id": "ü" * 65}),
    "so is the body": (json.dumps(GOOD | {"more": "x" * 262_144}).encode(), {}, {}),
    "so are the headers": (json.dumps(GOOD).encode(), {"own": "x" * 32_768}, {}),
    "a name stands there once": (b'{"task_id":"t1","task_id":"t1","text":"hello"}', {}, {}),
    "a whole number has no fraction": (
        b'{"user_id":"u","size":1.0}',
        {},
        {"type": "task.list", "reply_to": "sub.a"},
    ),
}


@pytest.mark.parametrize("what", UNSAYABLE)
def test_what_a_schema_cannot_say_the_worker_still_refuses(what: str) -> None:
    """The document says these in words."""
    body, headers, properties = UNSAYABLE[what]
    parts = {"body": json.loads(body), "headers": headers, "properties": properties}
    assert by_schema(parts)
    assert not by_worker(body, headers, properties)


@pytest.mark.parametrize(
    "body",
    [
        b'{"task_id":"t1","text":"\\ud83d"}',
        b'{"task_id":"t1","text":"hello","n":1e999}',
        b'{"task_id":"t1","text":"hello","n":NaN}',
        b'\xef\xbb\xbf{"task_id":"t1","text":"hello"}',
        b'{"task_id":"t1","text":"\xff"}',
    ],
)
def test_what_is_no_proper_json_is_refused(body: bytes) -> None:
    """Most parsers do not even get as far as a schema."""
    assert not by_worker(body, {}, {})
