"""A network is browned out by what many tasks met, never by one, and always finds its way back."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.brownout import (
    LONGEST_PAUSE,
    LONGEST_PROBE_PAUSE,
    TASKS,
    Brownout,
    State,
    Tolerance,
)
from worker.core.verdict import COMPLETED, POSTPONED, Kind, Source, Verdict, judge

AFTER = 4
INTERVAL = 5.0
START = 1000.0
LOST = judge(Source.CONNECTION_LOST)
REFUSED = judge(Source.STATUS, 401)
MODERATED = judge(Source.STATUS, 400)
KEY_CLOSED = Verdict(Kind.REJECTED, "unauthorized", Source.STATUS, 401, close_code=1008)
OVERRUN = judge(Source.DEADLINE)


def limited(retry_after: float | None = None) -> Verdict:
    """AUI asks for a pause."""
    return judge(Source.STATUS, 429, retry_after=retry_after)


def network(*steps: tuple[str, Verdict], after: int = AFTER, now: float = START) -> Brownout:
    """Return a network on which these attempts ended."""
    brownout = Brownout(Tolerance(after, INTERVAL))
    for task_id, verdict in steps:
        brownout.ended(task_id, verdict, now)
    return brownout


def row(tasks: str, verdict: Verdict = LOST) -> list[tuple[str, Verdict]]:
    """One attempt a letter, each of the task with that name."""
    return [(task_id, verdict) for task_id in tasks]


def out(now: float = START) -> Brownout:
    """Return a network that has just gone out."""
    brownout = network(*row("abca"), now=now)
    assert brownout.state is State.OUT
    return brownout


def half_open(now: float = START) -> Brownout:
    """Return a network whose first probe has succeeded."""
    brownout = out(now)
    assert brownout.probed(COMPLETED, now + INTERVAL) is State.HALF
    return brownout


@dataclass(frozen=True)
class Case:
    """Attempts, and the state they lead to."""

    name: str
    steps: list[tuple[str, Verdict]]
    state: State
    after: int = AFTER


CASES = [
    Case("nothing yet", [], State.HEALTHY),
    Case("enough in a row, on three tasks", row("abca"), State.OUT),
    Case("one too few", row("abc"), State.HEALTHY),
    Case("on two tasks, however many", row("ab" * 50), State.HEALTHY),
    Case("the third task comes last", [*row("ab" * 50), *row("c")], State.OUT),
    Case("three tasks even where one attempt would do", row("ab"), State.HEALTHY, after=1),
    Case("the third task where one attempt would do", row("abc"), State.OUT, after=1),
    Case("a completed one between", [*row("abc"), ("d", COMPLETED), *row("abc")], State.HEALTHY),
    Case("a moderated one between", [*row("abc"), ("d", MODERATED), *row("abc")], State.HEALTHY),
    Case("a close 1008 between", [*row("abc"), ("d", judge(Source.SERVER_CLOSE, 1008)),
                                  *row("abc")], State.HEALTHY),
    Case("too large an answer between", [*row("abc"), ("d", judge(Source.LOCAL_CLOSE, 1009)),
                                         *row("abc")], State.HEALTHY),
    Case("tasks of before the success do not count", [*row("abc"), ("d", COMPLETED),
                                                      *row("dddd")], State.HEALTHY),
    Case("a passed deadline tells nothing", [*row("abc"), ("d", OVERRUN), *row("a")], State.OUT),
    Case("nor does a bug", [*row("abc"), ("d", judge(Source.BUG)), *row("a")], State.OUT),
    Case("nor what was not tried", [*row("abc"), ("d", POSTPONED), *row("a")], State.OUT),
    Case("nor a refused key", [*row("abc"), ("d", REFUSED), *row("a")], State.OUT),
    Case("nor a pause", [*row("abc"), ("d", limited()), *row("a")], State.OUT),
    Case("pauses alone", row("abcdefgh", limited()), State.HEALTHY),
    Case("a key refused on three tasks", row("abc", REFUSED), State.OUT),
    Case("a key refused by 1008", row("abc", KEY_CLOSED), State.OUT),
    Case("403 as well", row("abc", judge(Source.STATUS, 403)), State.OUT),
    Case("a key refused on two tasks", row("ab" * 20, REFUSED), State.HEALTHY),
    Case("a completed one between refusals", [*row("ab", REFUSED), ("d", COMPLETED),
                                              *row("ac", REFUSED)], State.HEALTHY),
    Case("another rejection between refusals", [*row("ab", REFUSED), ("d", MODERATED),
                                                *row("c", REFUSED)], State.OUT),
    Case("an interruption between refusals", [*row("ab", REFUSED), ("d", LOST),
                                              *row("c", REFUSED)], State.OUT),
    Case("refusals and interruptions do not add up", [*row("ab", REFUSED), *row("cde")],
         State.HEALTHY),
    Case("a pause that is just not long", row("a", limited(30.0)), State.HEALTHY),
    Case("a long pause", row("a", limited(30.1)), State.OUT),
    Case("a long pause after a close 1008", row("a", Verdict(
        Kind.REJECTED, "rate_limited", Source.STATUS, 429, retry_after=60.0)), State.OUT),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_browns_a_network_out(case: Case) -> None:
    brownout = network(*case.steps, after=case.after)
    assert brownout.state is case.state
    assert bool(brownout.why) == (case.state is State.OUT)
    assert brownout.since == (START if case.state is State.OUT else None)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (row("abca"), ["4 attempts in a row", "connection_lost", "connection lost"]),
        (row("abca", judge(Source.SERVER_CLOSE, 1011)), ["internal_error", "server close 1011"]),
        (row("abc", REFUSED), ["key", "3 tasks", "unauthorized"]),
        (row("a", limited(90.0)), ["pause of 90 s", "rate_limited"]),
    ],
)
def test_it_knows_why_in_one_line(steps: list[tuple[str, Verdict]], words: list[str]) -> None:
    why = network(*steps).why
    assert [word for word in words if word not in why] == []
    assert "\n" not in why


def test_it_does_not_repeat_what_aui_said() -> None:
    told = judge(Source.STATUS, 503, detail="the secret is\nsesame", error=b"sesame")
    brownout = network(*row("abca", told))
    assert "sesame" not in brownout.why
    brownout.probed(told, START)
    assert "sesame" not in brownout.why


def test_the_first_probe_comes_after_the_interval_and_the_next_ones_ever_later() -> None:
    brownout, now, pauses = out(), START, []
    for _ in range(7):
        pauses.append(brownout.probe_at - now)
        now = brownout.probe_at
        assert brownout.probed(LOST, now) is State.OUT
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert LONGEST_PROBE_PAUSE == 60.0
    assert brownout.since == START


def test_an_interval_longer_than_that_stays_as_it_is() -> None:
    brownout = Brownout(Tolerance(1, 100.0))
    for task_id in "abc":
        brownout.ended(task_id, LOST, START)
    assert brownout.probe_at == START + 100.0
    brownout.probed(LOST, START + 100.0)
    assert brownout.probe_at == START + 200.0


def test_a_probe_that_fails_says_why_it_is_still_out() -> None:
    brownout = out()
    brownout.probed(REFUSED, START + 5.0)
    assert "probe" in brownout.why
    assert "unauthorized" in brownout.why


@pytest.mark.parametrize("answer", [COMPLETED, MODERATED, judge(Source.SERVER_CLOSE, 1008)])
def test_the_first_answer_while_half_open_makes_it_healthy(answer: Verdict) -> None:
    brownout = half_open()
    assert brownout.why
    assert brownout.ended("x", answer, START + 6.0) is State.HEALTHY
    assert (brownout.why, brownout.since) == ("", None)


@pytest.mark.parametrize("ending", [OVERRUN, judge(Source.BUG), POSTPONED, limited(), limited(9.0)])
def test_what_tells_nothing_leaves_it_half_open(ending: Verdict) -> None:
    assert half_open().ended("x", ending, START + 6.0) is State.HALF


@pytest.mark.parametrize("ending", [LOST, REFUSED, limited(90.0)])
def test_half_open_one_bad_ending_puts_it_out_again_for_longer(ending: Verdict) -> None:
    brownout = half_open()
    assert brownout.ended("x", ending, START + 6.0) is State.OUT
    assert brownout.probe_at == START + 6.0 + max(10.0, ending.retry_after or 0.0)
    assert brownout.since == START
    assert ending.reason in brownout.why


def test_the_pauses_grow_on_through_every_try_and_begin_anew_once_healthy() -> None:
    brownout = half_open()
    for pause in (10.0, 20.0, 40.0, 60.0, 60.0):
        brownout.ended("x", LOST, START)
        assert brownout.probe_at - START == pause
        brownout.probed(COMPLETED, START)
    brownout.ended("x", COMPLETED, START)
    for step in row("abca"):
        brownout.ended(*step, START)
    assert (brownout.state, brownout.probe_at) == (State.OUT, START + INTERVAL)


def test_a_second_probe_does_for_a_job() -> None:
    well, ill = half_open(), half_open()
    assert well.probed(COMPLETED, START + 40.0) is State.HEALTHY
    assert ill.probed(LOST, START + 40.0) is State.OUT
    assert ill.probe_at == START + 50.0


@pytest.mark.parametrize("steps", [row("abca"), row("abc", REFUSED)])
def test_once_healthy_it_takes_a_whole_row_again(steps: list[tuple[str, Verdict]]) -> None:
    brownout = network(*steps)
    for _ in range(2):
        brownout.probed(COMPLETED, START)
    for step in steps[:-1]:
        assert brownout.ended(*step, START) is State.HEALTHY
    assert brownout.ended(*steps[-1], START) is State.OUT


@pytest.mark.parametrize("ending", [COMPLETED, MODERATED, LOST, REFUSED, OVERRUN])
def test_what_began_before_changes_nothing_while_it_is_out(ending: Verdict) -> None:
    brownout = out()
    before = deepcopy(vars(brownout))
    assert brownout.ended("x", ending, START + 1.0) is State.OUT
    assert vars(brownout) == before


def test_a_probe_tells_nothing_about_a_healthy_network() -> None:
    brownout = network()
    assert brownout.probed(LOST, START) is State.HEALTHY
    assert brownout.probed(COMPLETED, START) is State.HEALTHY


@pytest.mark.parametrize(("asked", "pause"), [(None, 1.0), (0.0, 1.0), (7.5, 7.5), (30.0, 30.0)])
def test_a_short_pause_is_kept(asked: float | None, pause: float) -> None:
    brownout = network(("a", limited(asked)))
    assert brownout.pause_left(START) == pause
    assert brownout.pause_left(START + pause / 2) == pause / 2
    assert brownout.pause_left(START + pause + 1.0) == 0.0


def test_of_several_pauses_the_one_that_ends_last_counts() -> None:
    brownout = network(("a", limited(20.0)), ("b", limited(2.0)))
    assert brownout.pause_left(START) == 20.0


def test_a_long_pause_is_not_probed_before_it_ends() -> None:
    brownout = network(("a", limited(300.0)))
    assert brownout.probe_at == START + 300.0
    brownout.probed(LOST, START + 300.0)
    assert brownout.probe_at == START + 310.0


@pytest.mark.parametrize("asked", [1e9, math.inf])
def test_a_pause_without_an_end_has_one(asked: float) -> None:
    assert network(("a", limited(asked))).probe_at == START + LONGEST_PAUSE


def test_a_pause_asked_for_while_it_is_out_puts_the_probe_off() -> None:
    running, probing = out(), out()
    running.ended("x", limited(50.0), START)
    assert running.probe_at == START + 50.0
    probing.probed(limited(50.0), START)
    assert probing.probe_at == START + 50.0
    probing.ended("x", limited(2.0), START)
    assert probing.probe_at == START + 50.0


verdicts = st.sampled_from(
    [COMPLETED, MODERATED, LOST, REFUSED, OVERRUN, limited(), limited(20.0), limited(400.0)]
)
attempts = st.tuples(st.sampled_from("abcde"), verdicts, st.floats(0.0, 100.0))
tolerances = st.builds(Tolerance, st.integers(1, 6), st.floats(0.1, 200.0))
Judge = Callable[[Verdict], bool]


def is_success(verdict: Verdict) -> bool:
    """Tell whether AUI answered."""
    return verdict in (COMPLETED, MODERATED)


def since_last(steps: list[tuple[str, Verdict]], ends: Judge) -> list[tuple[str, Verdict]]:
    """Return what came after the last step that ends a row."""
    at = max((n for n, (_, verdict) in enumerate(steps) if ends(verdict)), default=-1)
    return steps[at + 1 :]


@MANY
@given(tolerance=tolerances, steps=st.lists(attempts, max_size=30))
def test_a_healthy_network_goes_out_for_the_three_reasons_alone(
    tolerance: Tolerance, steps: list[tuple[str, Verdict, float]]
) -> None:
    """Never out by fewer than three tasks, never with a success between, never by another way."""
    brownout, now, seen = Brownout(tolerance), START, []
    for task_id, verdict, pause in steps:
        now += pause
        brownout.ended(task_id, verdict, now)
        seen.append((task_id, verdict))
        lost = [t for t, v in since_last(seen, is_success) if v is LOST]
        refused = {t for t, v in since_last(seen, lambda v: v is COMPLETED) if v is REFUSED}
        must = (
            (len(lost) >= tolerance.after and len(set(lost)) >= TASKS)
            or len(refused) >= TASKS
            or (verdict.retry_after or 0.0) > 30.0
        )
        assert (brownout.state is State.OUT) == must
        if must:
            return


@MANY
@given(
    tolerance=tolerances,
    steps=st.lists(attempts | st.tuples(st.just("probe"), verdicts, st.floats(0.0, 100.0))),
)
def test_whatever_came_before_probes_that_succeed_lead_out_of_it(
    tolerance: Tolerance, steps: list[tuple[str, Verdict, float]]
) -> None:
    """Two of them at the most; and the wait for a probe is bounded."""
    brownout, now = Brownout(tolerance), START
    for who, verdict, pause in steps:
        now += pause
        if who == "probe":
            brownout.probed(verdict, now)
        else:
            brownout.ended(who, verdict, now)
        told = (bool(brownout.why), brownout.since is not None)
        assert told == ((brownout.state is not State.HEALTHY),) * 2
        assert brownout.probe_at - now <= LONGEST_PAUSE
        assert brownout.pause_left(now) <= 30.0
    for _ in range(2):
        now = max(now, brownout.probe_at)
        brownout.probed(COMPLETED, now)
    assert brownout.state is State.HEALTHY


def test_what_one_incident_interrupts_is_one_link_of_a_row() -> None:
    """A hundred streams cut at the same moment say as much as one; what begins after it counts."""
    brownout = Brownout(Tolerance(AFTER, INTERVAL))
    states = [
        brownout.ended(f"task_{number}", LOST, START + 0.1, began=START - number)
        for number in range(100)
    ]
    states += [
        brownout.ended(f"task_{number}", LOST, START + 2.0, began=START + 1.0)
        for number in range(AFTER - 1)
    ]
    assert states == [State.HEALTHY] * (98 + AFTER) + [State.OUT]
