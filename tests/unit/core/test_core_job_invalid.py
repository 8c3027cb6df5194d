"""What is no job is refused with the field at fault, in the words of the contract."""

import re
from typing import Any

import pytest

from tests.unit.core.builders import MADE, RULES, addressed, decode, envelope, nested
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob
from worker.core.job_properties import JobRules

WORD = r"must match [A-Za-z0-9_-]{1,64}, not "
TASK: dict[str, Any] = {"task_id": "t1", "text": "hi"}
USER: dict[str, Any] = {"user_id": "u1", "text": "hi"}


def refusal(message: Envelope, rules: JobRules = RULES) -> tuple[str, str]:
    """The field at fault and the problem with it."""
    with pytest.raises(InvalidJob) as refused:
        decode(message, rules)
    assert str(refused.value) == f"{refused.value.field}: {refused.value.problem}"
    return refused.value.field, refused.value.problem


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"\xff\xfe", "body", "is not UTF-8 (byte 0)"),
        (b"hi", "body", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "body", "must be a JSON object, not []"),
        (b'"hi"', "body", "must be a JSON object, not 'hi'"),
        (b"42", "body", "must be a JSON object, not 42"),
        (b'{"task_id":"t","text":"hi","n":NaN}', "body", "is not JSON: NaN is no JSON value"),
        (
            b'{"task_id":"t","task_id":"u","text":"hi"}',
            "body",
            "is not JSON: a field stands there twice",
        ),
        (nested(100_000), "body", "is nested too deeply"),
        ({}, "task_id", "is missing (and so is user_id)"),
        ({"text": "hi"}, "task_id", "is missing (and so is user_id)"),
        ({**TASK, "task_id": ""}, "task_id", WORD + "''"),
        ({**TASK, "task_id": None}, "task_id", WORD + "None"),
        ({**TASK, "task_id": 7}, "task_id", WORD + "7"),
        ({**TASK, "task_id": ["t"]}, "task_id", WORD + "['t']"),
        ({**TASK, "task_id": "a.b"}, "task_id", WORD + "'a.b'"),
        ({**TASK, "task_id": "a\n"}, "task_id", WORD + "'a\\n'"),
        ({**TASK, "task_id": "*"}, "task_id", WORD + "'*'"),
        ({**TASK, "task_id": "x" * 300}, "task_id", WORD + f"'{'x' * 76}..."),
        ({**USER, "task_id": None}, "task_id", WORD + "None"),
        ({**USER, "user_id": ""}, "user_id", "must be text, not ''"),
        ({**USER, "user_id": " \n"}, "user_id", "must be text, not ' \\n'"),
        ({**USER, "user_id": None}, "user_id", "must be text, not None"),
        ({**USER, "user_id": 49170}, "user_id", "must be text, not 49170"),
        ({**USER, "user_id": "x" * 257}, "user_id", "257 bytes are above the limit of 256"),
        ({**USER, "user_id": "é" * 129}, "user_id", "258 bytes are above the limit of 256"),
        ({**USER, "user_id": "a\ud800"}, "user_id", "must be valid Unicode"),
        ({**TASK, "user_id": 7}, "user_id", "must be text, not 7"),
        ({"task_id": "t1"}, "text", "is missing"),
        ({"user_id": "u1"}, "text", "is missing"),
        ({**TASK, "text": None}, "text", "must be text, not None"),
        ({**TASK, "text": 7}, "text", "must be text, not 7"),
        ({**TASK, "text": ["hi"]}, "text", "must be text, not ['hi']"),
        ({**TASK, "text": ""}, "text", "must not be empty"),
        ({**TASK, "text": " \t\r\n"}, "text", "must not be empty"),
        ({**TASK, "text": "cut in half \ud83d"}, "text", "must be valid Unicode"),
        ({**TASK, "context": "x"}, "context", "must be an object, not 'x'"),
        ({**TASK, "context": []}, "context", "must be an object, not []"),
        ({**TASK, "context": {"url": 7}}, "context.url", "must be text, not 7"),
        (
            {**TASK, "context": {"lead_details": "x"}},
            "context.lead_details",
            "must be an object, not 'x'",
        ),
        (
            {**TASK, "context": {"url": "u", "lead_details": [1]}},
            "context.lead_details",
            "must be an object, not [1]",
        ),
    ],
    ids=lambda value: repr(value)[:32],
)
def test_a_body_that_is_no_job(body: Any, field: str, problem: str) -> None:
    assert refusal(envelope(body)) == (field, problem)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("aui-channel", 7, WORD + "7"),
        ("aui-channel", bytearray(b"sms"), WORD + "bytearray(b'sms')"),
        ("aui-channel", "a.b", WORD + "'a.b'"),
        ("aui-channel", "", WORD + "''"),
        ("aui-channel", "x" * 65, WORD + f"'{'x' * 65}'"),
        ("aui-channel", None, WORD + "None"),
        ("aui-updates", "Every", "must be 'every', 'off' or like '250ms', not 'Every'"),
        ("aui-updates", "250", "must be 'every', 'off' or like '250ms', not '250'"),
        ("aui-updates", "0ms", "must be 'every', 'off' or like '250ms', not '0ms'"),
        ("aui-updates", "1000000ms", "must be 'every', 'off' or like '250ms', not '1000000ms'"),
        ("aui-updates", 250, "must be 'every', 'off' or like '250ms', not 250"),
        ("aui-updates", None, "must be 'every', 'off' or like '250ms', not None"),
        ("aui-conversation", "newest", "must be 'latest' or 'new', not 'newest'"),
        ("aui-conversation", True, "must be 'latest' or 'new', not True"),
        ("aui-conversation", ["new"], "must be 'latest' or 'new', not ['new']"),
        ("aui-attempt-base", -1, "must be a count, not -1"),
        ("aui-attempt-base", "3", "must be a count, not '3'"),
        ("aui-attempt-base", True, "must be a count, not True"),
        ("aui-attempt-base", 1.0, "must be a count, not 1.0"),
        ("aui-attempt-base", None, "must be a count, not None"),
        ("aui-attempt-base", 2**31 + 1, "must be a count, not 2147483649"),
        ("aui-maybe-sent", "true", "must be true or false, not 'true'"),
        ("aui-maybe-sent", 1, "must be true or false, not 1"),
        ("aui-maybe-sent", None, "must be true or false, not None"),
    ],
)
def test_a_header_that_breaks_the_contract(name: str, value: object, problem: str) -> None:
    assert refusal(envelope(headers={name: value})) == (name, problem)


@pytest.mark.parametrize(
    ("properties", "field", "problem"),
    [
        (
            {"type": "MESSAGE.SEND"},
            "type",
            (
                "must be one of message.send, message.post, task.create, task.list,"
                " task.messages, not 'MESSAGE.SEND'"
            ),
        ),
        ({"message_id": "x" * 129}, "message_id", "129 bytes are above the limit of 128"),
        ({"message_id": "é" * 65}, "message_id", "130 bytes are above the limit of 128"),
        (
            {"reply_to": "aui.jobs.p00"},
            "reply_to",
            r"must match ^(amq\.|sub\.), not 'aui.jobs.p00'",
        ),
        ({"reply_to": "subXbot"}, "reply_to", r"must match ^(amq\.|sub\.), not 'subXbot'"),
    ],
)
def test_a_property_that_breaks_the_contract(
    properties: dict[str, Any], field: str, problem: str
) -> None:
    assert refusal(envelope(**properties)) == (field, problem)


def test_a_body_above_the_limit_is_refused_unread() -> None:
    body = b"x" * 262145
    assert refusal(envelope(body)) == ("body", "262145 bytes are above the limit of 262144")
    assert refusal(envelope(b"x" * 11), JobRules(max_bytes=10))[0] == "body"


def test_a_copy_may_be_longer_by_a_task_id_and_not_by_more() -> None:
    limits = JobRules(max_bytes=10)
    copied = {"aui-attempt-base": 0}
    assert refusal(envelope(b"x" * 87, copied), limits)[1].startswith("is not JSON")
    assert refusal(envelope(b"x" * 88, copied), limits) == (
        "body",
        "88 bytes are above the limit of 87",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"a": "x" * 32768},
        {"a": "é" * 16384},
        {"a": bytearray(32768)},
        {"a": {"b": ["x" * 32768]}},
        {"x" * 32768: None},
        {f"h{number}": "" for number in range(5000)},
        {"a": [None] * 32768},
    ],
    ids=["text", "two bytes each", "bytes", "nested", "name", "many", "list"],
)
def test_headers_above_the_limit_are_refused(headers: dict[str, Any]) -> None:
    field, problem = refusal(envelope(headers=headers))
    assert field == "headers"
    assert re.fullmatch(r"\d+ bytes are above the limit of 32768", problem)


def test_headers_that_could_not_be_decoded_are_refused() -> None:
    assert refusal(envelope(headers={"aui-unreadable-headers": True}, type="x")) == (
        "headers",
        "cannot be decoded: names must be UTF-8, nesting shallow",
    )


def test_the_first_field_at_fault_is_named() -> None:
    assert refusal(envelope({"task_id": "a.b", "text": 7}, {"aui-channel": 3}, type="x"))[0] == (
        "type"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"task_id": "t1"}, ("t1", None)),
        ({"task_id": "a.b", "user_id": "u"}, (None, "u")),
        ({"task_id": 7, "user_id": 7}, (None, None)),
        ({"user_id": "é" * 200}, (None, "é" * 128)),
        ({"user_id": "a\ud800"}, (None, "a?")),
        (b'{"task_id":"t1","task_id":"t2"}', ("t2", None)),
        (b"[]", (None, None)),
        (b"\xff", (None, None)),
        (nested(100_000), (None, None)),
        (b'{"task_id":"t1","text":"' + b"x" * 262144 + b'"}', (None, None)),
    ],
    ids=lambda value: repr(value)[:32],
)
def test_an_invalid_job_tells_who_to_answer_as_far_as_it_can(
    body: Any, expected: tuple[str | None, str | None]
) -> None:
    address = addressed(envelope(body))
    assert (address.task_id, address.user_id) == expected


@pytest.mark.parametrize(
    ("properties", "job_id"),
    [({"message_id": "j"}, "j"), ({}, MADE), ({"message_id": "é" * 65}, "é" * 64)],
)
def test_an_invalid_job_is_called_by_its_id_cut_to_the_limit(
    properties: dict[str, Any], job_id: str
) -> None:
    address = addressed(envelope(b"", **properties))
    assert (address.job_id, address.correlation_id) == (job_id, job_id)


@pytest.mark.parametrize(
    ("channel", "expected"), [("sms", "sms"), ("a.b", "default"), (7, "default"), (None, "default")]
)
def test_an_invalid_job_is_of_its_channel_if_that_is_one(channel: object, expected: str) -> None:
    assert addressed(envelope(b"", {"aui-channel": channel})).channel == expected


def test_an_invalid_job_is_read_up_to_the_limit() -> None:
    limits = JobRules(max_bytes=16)
    assert addressed(envelope(b'{"task_id":"t1"}'), limits).task_id == "t1"
    assert addressed(envelope(b'{"task_id":"t12"}'), limits).task_id is None


def test_an_invalid_job_is_answered_only_where_answers_may_go() -> None:
    assert addressed(envelope(b"", reply_to="sub.bot")).reply_to == "sub.bot"
    assert addressed(envelope(b"", reply_to="aui.jobs.p00")).reply_to is None
