"""When a network of AUI is browned out, and when it is well again: a rule that takes the time.

    HEALTHY   N attempts interrupted one after another, on 3 tasks at least    -> OUT
              401 or 403 on 3 tasks, none completed between (a bad key)        -> OUT
              AUI asks for a pause longer than LONG_PAUSE                      -> OUT
    OUT       a probe succeeds                                                 -> HALF
    HALF      a success of an attempt, or of one more probe                    -> HEALTHY
              an interruption, a 401 or 403, a long pause, a failed probe      -> OUT

A success is any answer of AUI's that is not 401 or 403: a rejection shows that it is alive. The
pauses between probes grow until the network is healthy again. 429 breaks and makes no row: it
pauses the network.
"""

from dataclasses import dataclass
from enum import StrEnum

from worker.core.verdict import Kind, Source, Verdict

TASKS = 3
"""One broken conversation is not a broken network."""
SHORTEST_PAUSE = 1.0
LONG_PAUSE = 30.0
"""Seconds of pause beyond which the jobs wait better in their queues than in a worker."""
LONGEST_PAUSE = 3600.0
"""Whatever AUI asks for: once an hour it is asked whether it meant that."""
LONGEST_PROBE_PAUSE = 60.0
_ANSWERS = (Source.FINAL, Source.STATUS, Source.SERVER_CLOSE, Source.LOCAL_CLOSE)
"""Where AUI's own endings come from; a bug of ours or a passed deadline tells nothing about it."""


class State(StrEnum):
    """How a network is: well, browned out, or half-open (one job at a time tries it)."""

    HEALTHY = "healthy"
    OUT = "out"
    HALF = "half-open"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much it takes: ``after`` interruptions in a row, a first probe after so many seconds."""

    after: int = 10
    probe_interval: float = 5.0


class Brownout:
    """The state of one network. Times are of one monotonic clock, in seconds.

    Attributes:
        state: healthy, out or half-open.
        why: why it is out, in one line without secrets; empty while it is healthy.
        since: when it went out; None while it is healthy.
        probe_at: when it is to be probed next; has a meaning only while it is out.
    """

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self.state = State.HEALTHY
        self.why = ""
        self.since: float | None = None
        self.probe_at = 0.0
        self._probe_pause = 0.0
        self._paused_until = 0.0
        self._in_a_row = 0
        self._row_since = 0.0
        self._interrupted: set[str] = set()
        self._unauthorized: set[str] = set()

    def pause_left(self, now: float) -> float:
        """Return how long AUI still wants to be left alone (429)."""
        return max(0.0, self._paused_until - now)

    def ended(
        self, task_id: str, verdict: Verdict, now: float, began: float | None = None
    ) -> State:
        """Take how an attempt ended; return the state it leads to.

        While the network is out attempts that began before it change nothing, but a 429 puts
        the next probe off.

        Args:
            task_id: whose attempt it was.
            verdict: how it ended.
            now: the time.
            began: when it began, if not just now. A hundred attempts that one incident interrupts
                are one link of a row: whatever began before the row did says nothing new.
        """
        if verdict.reason == "rate_limited":
            self._rate_limited(_asked(verdict), now)
        elif self.state is State.OUT:
            pass
        elif verdict.reason == "unauthorized":
            self._refused(task_id, now)
        elif verdict.kind is Kind.INTERRUPTED:
            self._broken(task_id, verdict, now, now if began is None else began)
        elif verdict.source in _ANSWERS:
            self._answered(verdict)
        return self.state

    def probed(self, verdict: Verdict, now: float) -> State:
        """Take how a probe ended; return the state it leads to."""
        if verdict.kind is Kind.COMPLETED:
            if self.state is State.OUT:
                self.state = State.HALF
            else:
                self._recover()
        elif self.state is not State.HEALTHY:
            self._out(f"a probe failed: {_described(verdict)}", now)
            if verdict.reason == "rate_limited":
                self._rate_limited(_asked(verdict), now)
        return self.state

    def _rate_limited(self, pause: float, now: float) -> None:
        if self.state is State.OUT:
            self.probe_at = max(self.probe_at, now + pause)
        elif pause > LONG_PAUSE:
            self._out(f"AUI asked for a pause of {pause:.0f} s (rate_limited)", now)
            self.probe_at = max(self.probe_at, now + pause)
        else:
            self._paused_until = max(self._paused_until, now + pause)

    def _refused(self, task_id: str, now: float) -> None:
        self._unauthorized.add(task_id)
        if self.state is State.HALF:
            self._out("AUI refused the key to the job that tried it (unauthorized)", now)
        elif len(self._unauthorized) >= TASKS:
            self._out(f"AUI refused the key on {TASKS} tasks (unauthorized)", now)

    def _broken(self, task_id: str, verdict: Verdict, now: float, began: float) -> None:
        if not self._in_a_row:
            self._row_since = now
        self._in_a_row += not self._in_a_row or began >= self._row_since
        if len(self._interrupted) < TASKS:
            self._interrupted.add(task_id)
        if self.state is State.HALF:
            self._out(f"the job that tried it was interrupted: {_described(verdict)}", now)
        elif self._in_a_row >= self._tolerance.after and len(self._interrupted) >= TASKS:
            row = f"{self._in_a_row} attempts in a row were interrupted"
            self._out(f"{row}, the last by {_described(verdict)}", now)

    def _answered(self, verdict: Verdict) -> None:
        if self.state is State.HALF:
            self._recover()
        self._in_a_row = 0
        self._interrupted.clear()
        if verdict.kind is Kind.COMPLETED:
            self._unauthorized.clear()

    def _recover(self) -> None:
        self.state = State.HEALTHY
        self.why = ""
        self.since = None

    def _out(self, why: str, now: float) -> None:
        first = self._tolerance.probe_interval
        if self.state is State.HEALTHY:
            self.since = now
            self._probe_pause = first
        else:
            self._probe_pause = min(2 * self._probe_pause, max(first, LONGEST_PROBE_PAUSE))
        self.state = State.OUT
        self.why = why
        self.probe_at = now + self._probe_pause
        self._in_a_row = 0
        self._interrupted.clear()
        self._unauthorized.clear()


def _asked(verdict: Verdict) -> float:
    """Return how long to pause after a 429; AUI may not say."""
    return min(max(verdict.retry_after or 0.0, SHORTEST_PAUSE), LONGEST_PAUSE)


def _described(verdict: Verdict) -> str:
    """Say it in words of ours: AUI's own may hold anything."""
    code = "" if verdict.code is None else f" {verdict.code}"
    return f"{verdict.reason} ({verdict.source}{code})"
