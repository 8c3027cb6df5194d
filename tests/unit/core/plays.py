"""A turn as a play: each step is something that a driver sees and tells the turn."""

from collections.abc import Callable

from worker.core.turn import Turn
from worker.core.verdict import Source, Verdict

TASK = "t1"
Step = Callable[[Turn], object]


def got(raw: bytes) -> Step:
    """A frame came."""
    return lambda turn: turn.receive(raw)


def closed(code: int, reason: str = "") -> Step:
    """The server closed with a code."""
    return lambda turn: turn.closed_by_server(code, reason)


def ended(source: Source, code: int | None = None) -> Step:
    """It ended otherwise: by timeout, by a local close, by a cut."""
    return lambda turn: turn.ended(source, code)


def refused(verdict: Verdict) -> Step:
    """The upgrade was answered with an HTTP response."""
    return lambda turn: turn.refused(verdict)


def no_close(turn: Turn) -> None:
    """The close code did not come within the wait."""
    turn.no_close_came()


def play(*steps: Step) -> Turn:
    """Play a turn of :data:`TASK` whose request was sent."""
    turn = Turn(TASK)
    turn.sending()
    for step in steps:
        step(turn)
    return turn


def verdict_of(*steps: Step) -> tuple[str, str] | None:
    """Kind and reason of the verdict on a play, or None while there is none."""
    verdict = play(*steps).verdict
    return None if verdict is None else (str(verdict.kind), verdict.reason)
