"""How long each step of a turn may take."""

from dataclasses import dataclass

from worker.core.verdict import Source


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each step of a turn may take.

    Attributes:
        connect: DNS, TCP, TLS and the upgrade together.
        first_text: from the request to the first text or the final.
        idle: between two frames after that.
    """

    connect: float = 10.0
    first_text: float = 60.0
    idle: float = 60.0


def sooner(by: float, source: Source, deadline: float) -> tuple[float, Source]:
    """Bound a time by the job's deadline; say which of the two ends the wait."""
    return (by, source) if by <= deadline else (deadline, Source.DEADLINE)
