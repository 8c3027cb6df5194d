"""Whatever a socket brings, in whatever order: no exception, and one verdict at the most."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.builders import (
    DOCS_UPDATE,
    FINAL,
    MANY,
    SDK_UPDATE,
    SOME,
    error_frame,
    frame,
    json_values,
    nested,
    texts,
)
from tests.unit.core.plays import Step, closed, ended, got, no_close, play, refused
from worker.core.turn import Turn
from worker.core.update import UPDATED, Update
from worker.core.verdict import Kind, Source, judge
from worker.core.wire import (
    Failure,
    Final,
    Garbage,
    Unknown,
    read_failure,
    read_frame,
    read_message,
)

NAMES = (
    "event",
    "channel",
    "event_name",
    "eventName",
    "type",
    "data",
    "text",
    "id",
    "sender",
    "scope",
    "context",
    "task_id",
    "status_code",
    "statusCode",
    "detail",
    "errors",
    "message",
    "description",
    "loc",
    "msg",
)
values = st.recursive(
    json_values | st.sampled_from([UPDATED, "streaming_update", "user", "agent", 401, 500, "t1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=8,
)
lookalikes = st.dictionaries(st.sampled_from(NAMES), values, max_size=7).map(
    lambda fields: json.dumps(fields).encode()
)
"""JSON objects made of the words that the reader looks for."""

valid = st.sampled_from(
    [DOCS_UPDATE, SDK_UPDATE, FINAL, error_frame(401), error_frame(503), frame(detail="x")]
)
deep = st.builds(
    lambda head, depth, tail: head + nested(depth) + tail,
    st.sampled_from([b"", b'{"id":', b'{"detail":', b'{"event":', b'{"status_code":500,"errors":']),
    st.integers(0, 1200),
    st.sampled_from([b"", b"}"]),
)
damaged = st.builds(
    lambda raw, at, byte: raw[:at] + bytes([byte]) + raw[at + 1 :],
    valid,
    st.integers(0, 400),
    st.integers(0, 255),
)
raws = (
    valid
    | lookalikes
    | damaged
    | deep
    | st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps(value).encode())
)
ENDS = [source for source in Source if source is not Source.FINAL]
codes = st.sampled_from([1000, 1001, 1005, 1006, 1008, 1009, 1011, 1012, 3000, 4001])
steps = (
    raws.map(got)
    | st.builds(closed, codes | st.integers(), texts)
    | st.builds(ended, st.sampled_from(ENDS), st.none() | codes)
    | st.just(no_close)
    | st.builds(lambda status: refused(judge(Source.STATUS, status)), st.integers(100, 599))
)


@MANY
@given(raw=raws)
@example(raw=b'{"detail":' + nested(991) + b"}")
def test_the_reader_never_raises(raw: bytes) -> None:
    """Each reader has a value for any bytes at all."""
    assert isinstance(read_frame(raw), Update | Final | Failure | Unknown | Garbage)
    assert isinstance(read_message(raw), Final | None)
    written = json.loads(read_failure(raw, 502).payload)
    assert isinstance(written["status_code"], int)


@MANY
@given(raw=raws)
def test_a_failure_is_written_in_the_shape_of_the_contract(raw: bytes) -> None:
    """What a subscriber gets as ``failed`` has a status, a description and a message."""
    failure = read_failure(raw, 500)
    written = json.loads(failure.payload)
    assert written["status_code"] == failure.status_code
    assert written["message"] == failure.message
    assert isinstance(written["description"], str)


@MANY
@given(play_of=st.lists(steps, max_size=12))
def test_a_verdict_is_set_once(play_of: list[Step]) -> None:
    """After the first verdict nothing of the turn changes any more."""
    turn, settled = play(), None
    for step in play_of:
        step(turn)
        state = (turn.verdict, turn.final, turn.text, dict(turn.ignored), turn.closing)
        assert settled in (None, state)
        settled = state if turn.verdict is not None else None


@SOME
@given(play_of=st.lists(steps, max_size=12))
def test_completed_means_that_an_answer_came(play_of: list[Step]) -> None:
    """A turn is completed exactly when it holds an answer of AUI's, byte for byte."""
    turn = play(*play_of)
    completed = turn.verdict is not None and turn.verdict.kind is Kind.COMPLETED
    assert completed == (turn.final is not None)
    if turn.final is not None:
        assert read_message(turn.final.raw) == turn.final


@SOME
@given(raws_of=st.lists(raws, max_size=8))
def test_frames_that_are_no_answer_never_complete(raws_of: list[bytes]) -> None:
    """Only a frame with an id, of a sender who is not the user, ends a turn well."""
    answers = [raw for raw in raws_of if isinstance(read_frame(raw), Final)]
    turn = play(*map(got, raws_of))
    if not answers:
        assert turn.verdict is None or turn.verdict.kind is not Kind.COMPLETED


@MANY
@given(heard=st.lists(st.tuples(st.sampled_from([None, "t1", "t2", 7]), texts), max_size=6))
def test_only_updates_of_the_task_are_handed_on(heard: list[tuple[object, str]]) -> None:
    """Updates of this task, or of no told task, come out in order; others are only counted."""
    turn = Turn("t1")
    raws_of = [
        frame(event=UPDATED, scope={"context": {"task_id": task}}, data={"text": text})
        for task, text in heard
    ]
    updates = [update for update in map(turn.receive, raws_of) if update is not None]
    assert [update.text for update in updates] == [text for task, text in heard if task != "t2"]
    assert len(updates) + turn.ignored.total() == len(heard)


@SOME
@given(play_of=st.lists(steps, max_size=12))
def test_a_play_ends_with_a_verdict_once_it_is_ended(play_of: list[Step]) -> None:
    """Whatever came before, the end of the connection leaves no turn without a verdict."""
    assert play(*play_of, ended(Source.CONNECTION_LOST)).verdict is not None
