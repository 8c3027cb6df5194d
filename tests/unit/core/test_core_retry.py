"""The retry policy through tenacity itself, with a clock that only the tests move."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import AsyncRetrying, RetryCallState, wait_fixed

from tests.unit.core.builders import SOME
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.retry import (
    MAX_ATTEMPTS,
    Ack,
    Allowance,
    DeadLetter,
    GiveBack,
    RetryPolicy,
    decide,
)
from worker.core.verdict import COMPLETED, POSTPONED, Kind, Source, Verdict, judge

LOST = judge(Source.CONNECTION_LOST)
INTERNAL = judge(Source.SERVER_CLOSE, 1011)
POLICY = judge(Source.SERVER_CLOSE, 1008)


@dataclass
class Played:
    """A retried turn: the verdicts its attempts end with, and what became of them.

    Each attempt takes ``duration`` seconds; the last verdict repeats for ever. The first
    ``forgiven`` attempts are not counted, and of each ``lost`` seconds are not.
    """

    verdicts: Sequence[Verdict]
    duration: float = 0.0
    forgiven: int = 0
    lost: float = 0.0
    now: float = 1000.0
    attempts: int = 0
    waits: list[float] = field(default_factory=list)

    async def attempt(self) -> Verdict:
        """Take one attempt."""
        self.attempts += 1
        self.now += self.duration
        return self.verdicts[min(self.attempts, len(self.verdicts)) - 1]

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.waits.append(seconds)
        self.now += seconds


def run(policy: RetryPolicy, played: Played) -> Verdict:
    """Run a turn as the relay does, and return its last verdict."""

    def last(state: RetryCallState) -> Verdict:
        assert state.outcome is not None
        verdict: Verdict = state.outcome.result()
        return verdict

    allowance = policy.allowance(lambda: played.now)

    async def attempt() -> Verdict:
        allowance.start()
        verdict = await played.attempt()
        allowance.extend(played.lost)
        if played.attempts <= played.forgiven:
            allowance.forgive()
        return verdict

    async def turn() -> Verdict:
        retrying = AsyncRetrying(
            retry=policy.retry,
            stop=policy.stop(allowance),
            wait=policy.wait,
            sleep=played.sleep,
            retry_error_callback=last,
        )
        verdict: Verdict = await retrying(attempt)
        return verdict

    return asyncio.run(turn())


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jitter always choose the longest wait it may."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)


@pytest.fixture
def shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jitter always choose the shortest wait it may."""
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)


def test_the_first_success_is_the_end() -> None:
    played = Played([COMPLETED])
    assert run(RetryPolicy(), played) is COMPLETED
    assert (played.attempts, played.waits) == (1, [])


def test_an_interruption_is_tried_again_until_it_works() -> None:
    played = Played([INTERNAL, LOST, COMPLETED])
    assert run(RetryPolicy(), played) is COMPLETED
    assert (played.attempts, len(played.waits)) == (3, 2)


@pytest.mark.parametrize(
    "verdict",
    [
        POLICY,
        judge(Source.STATUS, 400),
        judge(Source.STATUS, 401),
        judge(Source.LOCAL_CLOSE, 1009),
        judge(Source.DEADLINE),
        judge(Source.BUG),
        POSTPONED,
    ],
    ids=lambda verdict: verdict.reason,
)
def test_a_rejection_or_postponement_ends_it_at_once(verdict: Verdict) -> None:
    played = Played([verdict])
    assert run(RetryPolicy(), played) is verdict
    assert (played.attempts, played.waits) == (1, [])


def test_a_rejection_after_an_interruption_ends_it() -> None:
    played = Played([INTERNAL, POLICY, COMPLETED])
    assert run(RetryPolicy(), played) is POLICY
    assert played.attempts == 2


@pytest.mark.parametrize("attempts", [1, 2, 5, 9])
def test_attempts_used_up_leave_the_last_verdict(attempts: int) -> None:
    verdicts = [LOST] * (attempts - 1) + [INTERNAL]
    played = Played(verdicts)
    assert run(RetryPolicy(attempts=attempts), played) is INTERNAL
    assert (played.attempts, len(played.waits)) == (attempts, attempts - 1)


def test_five_attempts_within_ten_minutes_are_the_default() -> None:
    policy = RetryPolicy()
    assert (policy.attempts, policy.deadline) == (5, 600.0)


@pytest.mark.usefixtures("longest")
def test_waits_grow_to_twenty_seconds_at_the_longest() -> None:
    played = Played([LOST])
    run(RetryPolicy(attempts=10), played)
    assert played.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]


@pytest.mark.usefixtures("shortest")
def test_waits_are_half_a_second_at_the_shortest() -> None:
    played = Played([LOST])
    run(RetryPolicy(attempts=4), played)
    assert played.waits == [0.5, 0.5, 0.5]


@SOME
@given(attempts=st.integers(1, 12))
def test_every_wait_is_within_its_bounds(attempts: int) -> None:
    played = Played([LOST])
    run(RetryPolicy(attempts=attempts), played)
    assert len(played.waits) == attempts - 1
    for number, wait in enumerate(played.waits):
        assert 0.5 <= wait <= min(20.0, 0.5 * 2**number)


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 4.0), (0.0, 4.0), (3.9, 4.0), (4.1, 4.1), (120.0, 120.0)]
)
def test_retry_after_is_obeyed(asked: float | None, waited: float) -> None:
    played = Played([judge(Source.STATUS, 429, retry_after=asked), COMPLETED])
    assert run(RetryPolicy(backoff=wait_fixed(4.0)), played) is COMPLETED
    assert played.waits == [waited]


@pytest.mark.parametrize(("asked", "attempts"), [(600.0, 2), (600.5, 1), (86400.0, 1)])
def test_retry_after_beyond_the_deadline_stops_at_once(asked: float, attempts: int) -> None:
    verdict = judge(Source.STATUS, 429, retry_after=asked)
    played = Played([verdict, COMPLETED])
    assert run(RetryPolicy(), played).kind is (
        Kind.COMPLETED if attempts == 2 else Kind.INTERRUPTED
    )
    assert (played.attempts, played.waits) == (attempts, [asked] * (attempts - 1))


@pytest.mark.parametrize(
    ("duration", "attempts"), [(0.0, 50), (0.5, 40), (9.0, 6), (59.0, 1), (61.0, 1)]
)
def test_no_attempt_starts_past_the_deadline(duration: float, attempts: int) -> None:
    played = Played([LOST], duration=duration)
    policy = RetryPolicy(attempts=50, deadline=59.5, backoff=wait_fixed(1.0))
    assert run(policy, played) is LOST
    assert played.attempts == attempts


def test_the_deadline_counts_from_the_first_attempt() -> None:
    early, late = Played([LOST]), Played([LOST], now=1e9)
    policy = RetryPolicy(attempts=99, deadline=10.0, backoff=wait_fixed(1.0))
    run(policy, early)
    run(policy, late)
    assert early.attempts == late.attempts == 11


@pytest.mark.parametrize(("forgiven", "attempts"), [(0, 3), (1, 4), (7, 10)])
def test_an_attempt_that_is_forgiven_is_made_again(forgiven: int, attempts: int) -> None:
    played = Played([LOST], forgiven=forgiven)
    assert run(RetryPolicy(attempts=3), played) is LOST
    assert played.attempts == attempts


def test_attempts_are_forgiven_for_as_long_as_their_numbers_fit_into_a_delivery() -> None:
    played = Played([LOST], forgiven=10_000)
    policy = RetryPolicy(attempts=3, deadline=1e9, backoff=wait_fixed(1.0))
    assert run(policy, played) is LOST
    assert played.attempts == MAX_ATTEMPTS
    assert MAX_ATTEMPTS == 60 < ATTEMPTS_PER_DELIVERY


def test_more_attempts_than_fit_into_a_delivery_are_not_made() -> None:
    played = Played([LOST])
    run(RetryPolicy(attempts=100, deadline=1e9, backoff=wait_fixed(1.0)), played)
    assert played.attempts == MAX_ATTEMPTS


def test_time_in_which_nothing_could_be_done_is_not_counted() -> None:
    policy = RetryPolicy(attempts=50, deadline=10.0, backoff=wait_fixed(1.0))
    worked, waited = Played([LOST], duration=4.0), Played([LOST], duration=4.0, lost=3.0)
    run(policy, worked)
    run(policy, waited)
    assert (worked.attempts, waited.attempts) == (3, 6)


def allowed(played: Played, attempts: int = 5) -> Allowance:
    """What a policy of ten seconds allows."""
    return RetryPolicy(attempts=attempts, deadline=10.0).allowance(lambda: played.now)


def test_its_time_begins_to_run_with_the_first_start() -> None:
    played = Played([LOST])
    allowance = allowed(played)
    played.now = 2000.0
    assert allowance.start() == 2010.0
    played.now = 2005.0
    assert allowance.start() == 2010.0


@pytest.mark.parametrize(
    ("passed", "wait", "expected"),
    [
        (0.0, 10.0, True),
        (0.0, 10.5, False),
        (9.0, 1.0, True),
        (9.5, 1.0, False),
        (11.0, 0.0, False),
    ],
)
def test_an_attempt_that_starts_in_time_is_covered(
    passed: float, wait: float, expected: bool
) -> None:
    played = Played([LOST])
    allowance = allowed(played)
    allowance.start()
    played.now += passed
    assert allowance.covers(1, wait) is expected


@pytest.mark.parametrize(
    ("attempts", "forgiven", "made", "expected"),
    [
        (5, 0, 0, True),
        (5, 0, 4, True),
        (5, 0, 5, False),
        (5, 0, 6, False),
        (5, 1, 5, True),
        (5, 1, 6, False),
        (1, 0, 1, False),
        (1, 1, 1, True),
        (5, 100, 59, True),
        (5, 100, 60, False),
        (100, 0, 59, True),
        (100, 0, 60, False),
    ],
)
def test_an_attempt_that_is_left_is_covered(
    attempts: int, forgiven: int, made: int, expected: bool
) -> None:
    allowance = allowed(Played([LOST]), attempts)
    for _ in range(forgiven):
        allowance.forgive()
    assert allowance.covers(made, 0.0) is expected


def test_time_is_extended_by_what_was_lost() -> None:
    played = Played([LOST])
    allowance = allowed(played)
    allowance.start()
    allowance.extend(5.0)
    allowance.extend(0.5)
    assert allowance.start() == 1015.5
    assert (allowance.covers(1, 15.5), allowance.covers(1, 16.0)) == (True, False)


def test_time_that_does_not_run_yet_is_not_extended() -> None:
    allowance = allowed(Played([LOST]))
    allowance.extend(5.0)
    assert allowance.start() == 1010.0


def test_time_that_was_not_started_starts_when_it_is_asked_for() -> None:
    played = Played([LOST])
    allowance = allowed(played)
    assert allowance.covers(0, 10.0)
    played.now += 1.0
    assert not allowance.covers(0, 10.0)


def test_each_job_has_an_allowance_of_its_own() -> None:
    policy, played = RetryPolicy(attempts=1), Played([LOST])
    one, other = (policy.allowance(lambda: played.now) for _ in range(2))
    one.forgive()
    assert (one.covers(1, 0.0), other.covers(1, 0.0)) == (True, False)


@pytest.mark.parametrize(
    "verdict", [judge(Source.FINAL), COMPLETED], ids=["another", "the constant"]
)
def test_a_completed_job_is_acked(verdict: Verdict) -> None:
    assert decide(verdict) == Ack()


def test_a_postponed_job_is_given_back() -> None:
    assert decide(POSTPONED) == GiveBack()


@pytest.mark.parametrize("verdict", [POLICY, INTERNAL, judge(Source.INVALID_JOB)])
def test_every_other_job_is_kept_with_its_last_verdict(verdict: Verdict) -> None:
    assert decide(verdict) == DeadLetter(verdict)


def test_a_wait_before_any_attempt_is_a_mistake() -> None:
    retrying: Callable[..., object] = RetryPolicy().wait
    state = RetryCallState(AsyncRetrying(), None, (), {})
    with pytest.raises(ValueError, match="no attempt was made yet"):
        retrying(state)
