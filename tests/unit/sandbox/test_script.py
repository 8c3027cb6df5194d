"""Each scenario is a sequence of steps that can be read off the page."""

import pytest

from worker.sandbox.directive import read_directive
from worker.sandbox.refusal import INTERNAL, MODERATION, UNAUTHORIZED, of_status
from worker.sandbox.script import (
    REWRITTEN,
    Close,
    Drop,
    Fail,
    Finish,
    Garbage,
    GiveUp,
    Hush,
    Pause,
    Step,
    Unknown,
    Update,
    script,
)

ANSWER = "one two three four"
FOUR = [
    Update("one", 0.1),
    Update("one two", 0.1),
    Update("one two three", 0.1),
    Update("one two three four", 0.1),
]
FINISH = Finish(ANSWER)
NONE = GiveUp()


def steps(text: str) -> list[Step]:
    """The steps a directive leads to."""
    return list(script(read_directive(text), ANSWER, 0.1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", [*FOUR, FINISH]),
        ("!1011 after=2", [*FOUR[:2], NONE, Fail(INTERNAL, 1011)]),
        ("!1008", [NONE, Close(1008)]),
        ("!1008 status=401 after=1", [FOUR[0], NONE, Fail(UNAUTHORIZED, 1008)]),
        ("!400", [NONE, Fail(MODERATION, 1008)]),
        ("!error", [NONE, Fail(of_status(503), 1011)]),
        ("!error status=429 retry_after=2", [NONE, Fail(of_status(429, 2.0), 1011)]),
        ("!error status=404", [NONE, Fail(of_status(404), 1008)]),
        ("!cut", [*FOUR[:3], Drop(reset=False), FOUR[3], FINISH]),
        ("!cut answered=no", [*FOUR[:3], NONE, Drop(reset=False)]),
        ("!cut after=99", [*FOUR, Drop(reset=False), FINISH]),
        ("!reset", [FOUR[0], Drop(reset=True), *FOUR[1:], FINISH]),
        ("!close code=1001 after=0", [Close(1001), *FOUR, FINISH]),
        ("!silence", [NONE, Hush()]),
        ("!silence after=1 answered=yes", [FOUR[0], Hush(), *FOUR[1:], FINISH]),
        ("!stall seconds=2", [FOUR[0], Pause(2.0), *FOUR[1:], FINISH]),
        ("!garbage", [FOUR[0], NONE, Garbage(), Hush()]),
        ("!unknown", [*FOUR, Unknown(), FINISH]),
        ("!final-only", [FINISH]),
        ("!lag", [*FOUR, FINISH]),
        ("!1011 after=1 answered=yes", [FOUR[0], Fail(INTERNAL, 1011), *FOUR[1:], FINISH]),
    ],
)
def test_a_scenario_is_these_steps(text: str, expected: list[Step]) -> None:
    assert steps(text) == expected


def test_a_rewrite_breaks_the_chain_of_texts_exactly_once() -> None:
    texts = [step.text for step in steps("!rewrite") if isinstance(step, Update | Finish)]
    assert texts == [
        "one",
        "one two",
        REWRITTEN + "one two three",
        REWRITTEN + ANSWER,
        REWRITTEN + ANSWER,
    ]


def test_a_huge_final_is_as_long_as_asked_and_extends_the_last_update() -> None:
    *updates, final = steps("!huge bytes=1000")
    assert updates == FOUR
    assert isinstance(final, Finish)
    assert len(final.text) == 1000
    assert final.text.startswith(ANSWER)


def test_a_huge_final_smaller_than_the_answer_is_the_answer() -> None:
    assert steps("!huge bytes=3")[-1] == FINISH


def test_a_load_adds_a_chunk_an_interval() -> None:
    *updates, final = steps("!load updates=5 interval=0.5 chunk=7")
    assert [len(step.text) for step in updates if isinstance(step, Update)] == [7, 14, 21, 28, 35]
    assert {step.delay for step in updates if isinstance(step, Update)} == {0.5}
    assert isinstance(final, Finish)
    assert final.text.startswith(ANSWER)
    assert len(final.text) == 35


def test_white_space_in_an_answer_stays_where_it_was() -> None:
    texts = [step.text for step in script(read_directive(""), "a\n\nb  c", 0)]  # type: ignore[union-attr]
    assert texts == ["a", "a\n\nb", "a\n\nb  c", "a\n\nb  c"]
