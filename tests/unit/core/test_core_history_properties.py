"""Whatever a history looks like, and whatever befell the jobs of a task."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from tests.unit.core.lives import Attempt, Life, Plan, World
from worker.core.history import (
    PUBLISHED_SLACK,
    SENT_SLACK,
    Anchor,
    Previous,
    Seen,
    look,
    same_text,
)
from worker.core.said import Said

LIVES = settings(MANY, max_examples=200)
TEXTS = ["yes", " yes", "yes\n", "no", "", "two words", "two  words"]
times = st.none() | st.sampled_from([0.0, 8.0, 10.0, 12.0, 95.0, 100.0, 1e9])


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """Draw what may have been said, in any order, by anybody."""
    lines = draw(st.lists(st.tuples(st.sampled_from(TEXTS), st.booleans(), times, st.booleans())))
    return [
        Said(text, by_user, id=f"m{place}" if named else "", at=at)
        for place, (text, by_user, at, named) in enumerate(lines)
    ]


ids = st.integers(0, 12).map(lambda place: f"m{place}")
anchors = st.builds(
    Anchor,
    previous=st.none() | st.builds(Previous, ids, times),
    sent=times,
    published=times,
    copy=st.booleans(),
)
anything = {
    "history": histories(),
    "text": st.sampled_from(TEXTS),
    "anchor": anchors,
    "claimed": st.frozensets(ids, max_size=4),
    "twin": st.booleans(),
}


def place_of(history: Sequence[Said], one: Said) -> int:
    """Where in a history that very message is."""
    return next(place for place, said in enumerate(history) if said is one)


def behind(history: Sequence[Said], previous: Previous | None) -> int:
    """Where a history goes on after the previous final; 0 if that is not in it."""
    places = [n for n, said in enumerate(history, 1) if previous and said.id == previous.id]
    return places[0] if places else 0


@MANY
@given(**anything)
def test_what_is_ours_is_our_text_said_by_the_user_after_the_anchor_and_unclaimed(
    history: list[Said], text: str, anchor: Anchor, claimed: frozenset[str], twin: bool
) -> None:
    seen = look(history, text, anchor, claimed, twin_behind=twin)
    ours = [said for said in history if said.id in seen.ours]
    assert len(ours) == len(seen.ours)
    assert not seen.ours & claimed
    for said in ours:
        assert said.by_user
        assert same_text(said.text, text)
        assert place_of(history, said) >= behind(history, anchor.previous)
        # Where the history shows the previous final, its order says more than the times do.
        shown = behind(history, anchor.previous) > 0
        bound = None if shown else anchor.not_before
        assert said.at is None or bound is None or said.at >= bound


@MANY
@given(**anything)
def test_an_answer_comes_after_one_of_ours_before_the_user_says_something_else(
    history: list[Said], text: str, anchor: Anchor, claimed: frozenset[str], twin: bool
) -> None:
    seen = look(history, text, anchor, claimed, twin_behind=twin)
    if seen.answer is None:
        return
    assert seen.asked
    assert not seen.answer.by_user
    place = place_of(history, seen.answer)
    assert place > behind(history, anchor.previous)
    before = history[:place]
    while before and before[-1].by_user and same_text(before[-1].text, text):
        said = before.pop()
        if said.id in seen.ours or said.id == "":
            return
    raise AssertionError("it answers nothing of ours")


@MANY
@given(**anything)
def test_what_is_absent_has_neither_ids_nor_an_answer(
    history: list[Said], text: str, anchor: Anchor, claimed: frozenset[str], twin: bool
) -> None:
    seen = look(history, text, anchor, claimed, twin_behind=twin)
    assert seen.asked or seen == Seen()
    assert not (twin and len(seen.ours) > 1)
    if seen.ambiguous:
        assert anchor.sent is None
        assert behind(history, anchor.previous) == 0


@MANY
@given(**anything)
def test_ours_is_never_missed_when_it_is_the_last_thing_said_and_new_enough(
    history: list[Said], text: str, anchor: Anchor, claimed: frozenset[str], twin: bool
) -> None:
    ours = Said(text, by_user=True, id="ours", at=1e12)
    answer = Said("…", by_user=False, id="answer", at=1e12)
    assert look([*history, ours], text, anchor, claimed).asked
    seen = look([*history, ours, answer], text, anchor, claimed, twin_behind=twin)
    assert seen.answer is not None
    if not (twin or anchor.copy):
        assert "ours" in seen.ours


failing = st.lists(st.sampled_from(Attempt), max_size=3)
crashes = st.frozensets(st.integers(1, 3), max_size=2)
yes_or_no = st.sampled_from(["yes", "no"])
skews = {"ahead": st.floats(0.0, PUBLISHED_SLACK), "date_ahead": st.floats(0.0, SENT_SLACK)}
worlds = st.builds(World, **skews)
telling_little = st.builds(
    World, times=st.booleans(), ids=st.booleans(), stamps=st.booleans(), **skews
)


def live(plans: Sequence[Plan], world: World) -> Life:
    """Play a task's life; every look in it is checked."""
    life = Life(plans, world)
    life.run()
    return life


def different(plans: Sequence[Plan]) -> list[Plan]:
    """Give each job a text of its own."""
    return [replace(plan, text=f"text {number}") for number, plan in enumerate(plans)]


def jobs(**drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Plan]]:
    """Draw the jobs of a task; what is not given is as by default."""
    plans = st.builds(Plan, **{"text": st.just("…"), "failing": failing, **drawn})
    return st.lists(plans, min_size=1, max_size=6)


@LIVES
@given(
    plans=jobs(
        waits=st.booleans(),
        crashes=crashes,
        answered=st.booleans(),
        unsettled=st.booleans(),
    ),
    world=telling_little,
)
def test_different_texts_are_never_mixed_up(plans: list[Plan], world: World) -> None:
    """Whatever fails, whoever dies, and however little the history tells."""
    live(different(plans), world)


@LIVES
@given(plans=jobs(text=yes_or_no), world=worlds)
def test_equal_texts_are_not_mixed_up_where_each_is_answered(
    plans: list[Plan], world: World
) -> None:
    """However quickly they follow one another."""
    live(plans, world)


@LIVES
@given(
    plans=jobs(
        text=yes_or_no,
        waits=st.just(False),
        idle=st.floats(SENT_SLACK, 10.0),
        answered=st.booleans(),
    ),
    world=worlds,
)
def test_equal_texts_are_not_mixed_up_where_some_are_not_answered(
    plans: list[Plan], world: World
) -> None:
    """If they follow one another no quicker than AUI's clocks may differ."""
    live(plans, world)


@LIVES
@given(
    plans=jobs(
        text=yes_or_no,
        waits=st.booleans(),
        idle=st.floats(PUBLISHED_SLACK, 20.0),
        crashes=crashes,
        unsettled=st.booleans(),
    ),
    world=worlds,
)
def test_equal_texts_are_not_mixed_up_by_crashes(plans: list[Plan], world: World) -> None:
    """If each is answered in the end, and is published while the one before it is in the lane, or
    later than the producer's clock may be ahead."""
    live(plans, world)


@LIVES
@given(plans=jobs(waits=st.booleans(), crashes=crashes, answered=st.booleans()), world=worlds)
def test_a_copy_finds_what_became_of_the_other_copy_whatever_came_later(
    plans: list[Plan], world: World
) -> None:
    life = live(different(plans), world)
    for job in life.jobs:
        anchor = Anchor(published=job.published, copy=True)
        life.check(look(life.shown(), job.plan.text, anchor), job.number)
