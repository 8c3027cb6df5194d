"""A task's history as AUI writes it: read so that an answer in it can be handed on as it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import FINAL, MANY, frame, json_values, nested, texts
from worker.core.said import Said, read_history

USER = {"id": "user_1", "type": "user"}
AGENT = {"id": "agent_1", "type": "agent"}
SECONDS = "2026-01-01T12:00:%02dZ"
NOON = 1767268800.0


def read(raw: bytes) -> list[Said]:
    """Read what is a history."""
    history = read_history(raw)
    assert history is not None
    return history


def listed(*written: bytes) -> bytes:
    """Write a list."""
    return b"[" + b",".join(written) + b"]"


def test_each_message_is_read_and_kept_byte_for_byte() -> None:
    asked = frame(id="m1", text=" hi ", sender=USER, created_at="2026-03-09 14:21:59.500000")
    assert read(listed(asked, FINAL)) == [
        Said(" hi ", by_user=True, id="m1", at=1773066119.5, raw=asked),
        Said(
            "I found several built-in microwaves.",
            by_user=False,
            id="507f1f77bcf86cd799439011",
            at=1773066121.0,
            raw=FINAL,
        ),
    ]


@pytest.mark.parametrize(
    ("sender", "by_user"),
    [
        (USER, True),
        ({"type": "user"}, True),
        (AGENT, False),
        ({"type": "3p"}, False),
        ({"type": "User"}, False),
        ({"id": "user"}, False),
        ({}, False),
        ("user", False),
        (["user"], False),
        (None, False),
    ],
)
def test_the_user_said_what_the_user_sent_and_the_rest_is_an_answer(
    sender: object, by_user: bool
) -> None:
    assert read(listed(frame(id="m", text="x", sender=sender)))[0].by_user is by_user


def test_what_nobody_sent_is_an_answer() -> None:
    assert read(b"[{}]") == [Said("", by_user=False, raw=b"{}")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"text": "é\n☃"}, Said("é\n☃", by_user=False)),
        ({"text": ""}, Said("", by_user=False)),
        ({"text": None}, Said("", by_user=False)),
        ({"text": 7}, Said("", by_user=False)),
        ({"text": ["x"]}, Said("", by_user=False)),
        ({"text": "\ud83d"}, Said("\ud83d", by_user=False)),
        ({"id": "m1"}, Said("", by_user=False, id="m1")),
        ({"id": ""}, Said("", by_user=False)),
        ({"id": None}, Said("", by_user=False)),
        ({"id": 7}, Said("", by_user=False, id="7")),
        ({"id": 0}, Said("", by_user=False, id="0")),
        ({"created_at": SECONDS % 1}, Said("", by_user=False, at=NOON + 1)),
        ({"created_at": NOON}, Said("", by_user=False)),
        ({"created_at": "soon"}, Said("", by_user=False)),
        ({"created_at": None}, Said("", by_user=False)),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_left_open(fields: dict[str, Any], expected: Said) -> None:
    raw = frame(**fields)
    said = read(listed(raw))[0]
    assert said.raw == raw
    assert (said.text, said.by_user, said.id, said.at) == (
        expected.text,
        expected.by_user,
        expected.id,
        expected.at,
    )


@pytest.mark.parametrize(
    "written",
    [
        b"{}",
        b"{ }",
        b'{"text":"x"}',
        b'{ "text" :\t"x" ,\r\n "id" : "m" }',
        '{"text":"é ☃ 🎉"}'.encode(),
        rb'{"text":"\u00e9 \ud83c\udf89 \/ \" \\ \u0000"}',
        rb'{"text":"half an emoji: \ud83c"}',
        rb'{"text":"] } , [ {"}',
        b'{"price":1.10,"more":1e400,"less":-0.0,"sum":12345678901234567890123456789}',
        b'{"text":"x","text":"twice"}',
        b'{"a":[[],[{}],{"b":[1 , 2]}],"c":null}',
        b'{"n":NaN}',
        b'{"a":' + nested(200) + b"}",
    ],
    ids=lambda written: repr(written[:30]),
)
@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b" \n", b"\t\r\n "), (b'{"id":"m0"} ,', b', {"id":"m2"}'), (b"7,", b",[[]]")],
    ids=["alone", "spaced", "between others", "between what is none"],
)
def test_a_message_is_kept_as_it_was_written(written: bytes, before: bytes, after: bytes) -> None:
    assert written in [said.raw for said in read(b" [" + before + written + after + b"]\n")]


objects = st.dictionaries(texts, json_values, max_size=4)
spaces = st.text(st.sampled_from(" \t\r\n"), max_size=3)


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Draw a list of values in anybody's way of writing, and the objects in it."""
    raw, kept, values = "[", [], draw(st.lists(objects | json_values, max_size=5))
    for place, value in enumerate(values):
        written = json.dumps(
            value,
            ensure_ascii=draw(st.booleans()),
            indent=draw(st.none() | st.integers(0, 3)),
            separators=draw(st.sampled_from([(",", ":"), (" , ", " :\n")])),
        )
        raw += ("," if place else "") + draw(spaces) + written + draw(spaces)
        if isinstance(value, dict):
            kept.append(written.encode())
    return (draw(spaces) + raw + "]" + draw(spaces)).encode(), kept


@MANY
@given(drawn=lists())
def test_every_object_of_a_list_is_a_message_kept_as_it_was_written(
    drawn: tuple[bytes, list[bytes]],
) -> None:
    raw, kept = drawn
    history = read(raw)
    assert sorted(said.raw for said in history) == sorted(kept)
    if any(said.at is None for said in history):
        assert [said.raw for said in history] == kept


@pytest.mark.parametrize("raw", [b"[]", b" [ ] ", b"\n[\n]\n", b"[1, null, [], true]"])
def test_a_list_without_messages_is_an_empty_history(raw: bytes) -> None:
    assert read_history(raw) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"{}",
        b'{"messages":[]}',
        b'"[]"',
        b"7",
        b"[",
        b"[{}",
        b"[{},",
        b'[{"text":',
        b'[{"text":}]',
        b"[{'text': 1}]",
        b"[x]",
        b"{]",
        b'({"text":"x"}]',
        b"<html>[]</html>",
        b'[{"text":"\xe9"}]',
        b"\xff\xfe",
        b'[{"text":"\n"}]',
        nested(100_000),
        b"[" + nested(100_000, b'{"a":', b"}") + b"]",
        b'[{"a":' + b"1" * 5000 + b"}]",
    ],
    ids=lambda raw: repr(raw[:16]),
)
def test_what_is_no_list_is_no_history(raw: bytes) -> None:
    assert read_history(raw) is None


@MANY
@given(raw=st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_aui_may_answer_is_a_mistake(raw: bytes) -> None:
    history = read_history(raw)
    assert history is None or all(isinstance(json.loads(said.raw), dict) for said in history)


def at(*times: object) -> bytes:
    """Write a history of messages made at these times, named in the order they are listed in."""
    return listed(*[frame(id=str(name), created_at=time) for name, time in enumerate(times)])


@pytest.mark.parametrize(
    ("times", "names"),
    [
        ([1, 2, 3], "012"),
        ([3, 2, 1], "210"),
        ([2, 3, 1], "201"),
        ([1, 1, 2], "012"),
        ([1, 2, 2], "012"),
    ],
    ids=["oldest first", "newest first", "mixed", "equal first", "equal last"],
)
def test_where_every_message_tells_its_time_that_decides(times: list[int], names: str) -> None:
    history = read(at(*[SECONDS % time for time in times]))
    assert "".join(said.id for said in history) == names


def test_times_are_compared_whichever_way_they_are_written() -> None:
    history = read(
        at(
            "2026-01-01T12:00:02Z",
            "2026-01-01 12:00:01.500",
            "2026-01-01T14:00:01+02:00",
            "2026-01-01T07:00:03.000-05:00",
        )
    )
    assert [said.id for said in history] == ["2", "1", "0", "3"]


@pytest.mark.parametrize("untold", [None, "soon", 7])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_where_one_does_not_tell_its_time_they_stay_as_listed(untold: object, place: int) -> None:
    times: list[object] = [SECONDS % 1, SECONDS % 2, SECONDS % 3]
    times[place] = untold
    assert [said.id for said in read(at(*times))] == ["0", "1", "2"]


@pytest.mark.parametrize("second", [2, None])
def test_a_list_that_runs_backwards_is_turned_round(second: int | None) -> None:
    times: list[object] = [SECONDS % 2, SECONDS % second if second else None, SECONDS % 1]
    assert [said.id for said in read(at(*times))] == ["2", "1", "0"]


def test_a_message_of_aui_is_not_shown_in_full_by_repr() -> None:
    assert "customer@example.com" not in repr(read(listed(FINAL)))
