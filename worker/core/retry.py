"""When an interrupted attempt is tried again, as tenacity strategies; and what then settles it.

tenacity runs the loop (``worker.relay.attempts``); this module gives it ``retry``, ``stop`` and
``wait`` as values. An attempt ends with a :class:`~worker.core.verdict.Verdict`, never with an
exception: retry is a state, not an error.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import RetryCallState, retry_if_result, wait_random_exponential
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from worker.core.verdict import Kind, Verdict

FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0
MAX_ATTEMPTS = 60
"""Forgiven ones included: their numbers must fit into one delivery's 64."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try: ``attempts`` in all, within ``deadline`` seconds of the first one."""

    attempts: int = 5
    deadline: float = 600.0
    backoff: wait_base = field(
        default_factory=lambda: wait_random_exponential(
            multiplier=FIRST_WAIT, min=FIRST_WAIT, max=LONGEST_WAIT
        )
    )

    @property
    def retry(self) -> retry_base:
        """Try again after an interruption, and only then."""
        return retry_if_result(_interrupted)

    def wait(self, state: RetryCallState) -> float:
        """Wait exponentially longer, with jitter; at least as long as AUI asked to."""
        return max(self.backoff(state), _verdict(state).retry_after or 0.0)

    def stop(self, allowance: "Allowance") -> stop_base:
        """Stop when the attempts are used up, or the next would start past the deadline."""
        return _Stop(allowance)

    def allowance(self, now: Callable[[], float]) -> "Allowance":
        """Return what one job may use, none of which is used yet."""
        return Allowance(self.attempts, self.deadline, now)


class Allowance:
    """What is left to one job: attempts, and time, which begins to run with the first of them.

    Args:
        attempts: how many attempts.
        seconds: how long, from the first attempt.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, attempts: int, seconds: float, now: Callable[[], float]) -> None:
        self._attempts = attempts
        self._seconds = seconds
        self._now = now
        self._at: float | None = None

    def start(self) -> float:
        """Start its time, unless it runs already; return when it ends, on the same clock."""
        if self._at is None:
            self._at = self._now() + self._seconds
        return self._at

    def forgive(self) -> None:
        """Do not count the attempt that was just made: it failed for no fault of the job's."""
        self._attempts += 1

    def extend(self, seconds: float) -> None:
        """Do not count so many seconds, in which the job could not be worked on."""
        if self._at is not None:
            self._at += seconds

    def covers(self, made: int, wait: float) -> bool:
        """Tell whether another attempt may start.

        Args:
            made: the attempts made so far.
            wait: seconds until it would start.
        """
        enough = made >= min(self._attempts, MAX_ATTEMPTS)
        return not enough and self._now() + wait <= self.start()


class _Stop(stop_base):
    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def __call__(self, retry_state: RetryCallState) -> bool:
        made, wait = retry_state.attempt_number, retry_state.upcoming_sleep
        return not self._allowance.covers(made, wait)


@dataclass(frozen=True, slots=True)
class Ack:
    """Settle as done: the terminal reply is out."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Settle by keeping the job in ``aui.dead``, with this verdict."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Settle as not done: the job goes back to its queue."""


Settlement = Ack | DeadLetter | GiveBack


def decide(verdict: Verdict) -> Settlement:
    """Turn the last verdict on a job into its settlement.

    A verdict that is still "interrupted" here means that the attempts or the time are used up:
    the job is kept with the reason of the last attempt.
    """
    match verdict.kind:
        case Kind.COMPLETED:
            return Ack()
        case Kind.POSTPONED:
            return GiveBack()
        case Kind.REJECTED | Kind.INTERRUPTED:
            return DeadLetter(verdict)


def _interrupted(verdict: Verdict) -> bool:
    return verdict.kind is Kind.INTERRUPTED


def _verdict(state: RetryCallState) -> Verdict:
    if state.outcome is None:
        raise ValueError("no attempt was made yet")
    verdict: Verdict = state.outcome.result()
    return verdict
