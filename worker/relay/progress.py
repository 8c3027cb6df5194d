"""How far a job has come: what its dead letter and its log line tell."""

from dataclasses import dataclass, field

from worker.core.asked import Asked
from worker.core.republish import AttemptRecord
from worker.core.verdict import Verdict
from worker.core.wire import Final
from worker.relay.ports import Clock


@dataclass(slots=True)
class Progress:
    """The record of one job in this process.

    Attributes:
        clock: dates the attempts.
        attempts: what became of each.
        text: the newest text of the last one.
        final: the answer, once there is one.
        recovered: it was found in the task's history.
        asked: what is known of a message that may have been sent; None before the first attempt.
    """

    clock: Clock
    attempts: list[AttemptRecord] = field(default_factory=list)
    text: str = ""
    final: Final | None = None
    recovered: bool = False
    asked: Asked | None = None

    def note(self, attempt: int, phase: str, verdict: Verdict) -> None:
        """Record how an attempt ended."""
        self.attempts.append(
            AttemptRecord(
                at=self.clock.utc().isoformat(timespec="milliseconds"),
                attempt=attempt,
                phase=phase,
                what=verdict.reason,
                detail=verdict.detail,
            )
        )
