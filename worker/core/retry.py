"""When an interrupted attempt is tried again, as tenacity strategies; and what then settles it.

tenacity runs the loop (``worker.relay.turns``); this module gives it ``retry``, ``stop`` and
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

    def stop(self, deadline: "Deadline") -> stop_base:
        """Stop when the attempts are used up, or the next would start past the deadline."""
        return _Stop(self.attempts, deadline)


class Deadline:
    """The end of a job's time, which begins to run with its first attempt.

    Args:
        seconds: how long it is.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._at: float | None = None

    def start(self) -> float:
        """Start it, unless it runs already; return when it ends, on the same clock."""
        if self._at is None:
            self._at = self._now() + self._seconds
        return self._at

    def allows(self, wait: float) -> bool:
        """Tell whether an attempt may still start after so many seconds."""
        return self._now() + wait <= self.start()


class _Stop(stop_base):
    def __init__(self, attempts: int, deadline: Deadline) -> None:
        self._attempts = attempts
        self._deadline = deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        if retry_state.attempt_number >= self._attempts:
            return True
        return not self._deadline.allows(retry_state.upcoming_sleep)


@dataclass(frozen=True, slots=True)
class Ack:
    """Settle as done: the terminal reply is out."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Settle by keeping the job in ``aui.dead``, with this verdict."""

    verdict: Verdict


Settlement = Ack | DeadLetter


def decide(verdict: Verdict) -> Settlement:
    """Turn the last verdict on a job into its settlement.

    A verdict that is still "interrupted" here means that the attempts or the time are used up:
    the job is kept with the reason of the last attempt.
    """
    return Ack() if verdict.kind is Kind.COMPLETED else DeadLetter(verdict)


def _interrupted(verdict: Verdict) -> bool:
    return verdict.kind is Kind.INTERRUPTED


def _verdict(state: RetryCallState) -> Verdict:
    if state.outcome is None:
        raise ValueError("no attempt was made yet")
    verdict: Verdict = state.outcome.result()
    return verdict
