"""What is known of a message that may have been sent: the memory of one job between attempts."""

from dataclasses import dataclass

from worker.core.history import UNTOLD, Patience, patience_after
from worker.core.turn import Turn


@dataclass(slots=True)
class Asked:
    """Whether a job's message may have reached AUI, and since when.

    Attributes:
        maybe: it may have: look before sending it (again).
        since: when it last can have, in monotonic seconds.
        patience: how long after that to look for it.
        sent: when this worker first sent it, in seconds since 1970 by AUI's clock. Not known of a
            message that somebody may have sent before.
        ours: ids of the messages in the history that were taken for it.
    """

    maybe: bool
    since: float
    patience: Patience = UNTOLD
    sent: float | None = None
    ours: frozenset[str] = frozenset()

    def note(self, turn: Turn, now: float) -> None:
        """Take in how an attempt ended."""
        if not turn.maybe_sent or turn.verdict is None:
            return
        if not self.maybe:
            self.sent = turn.sent_at
        self.maybe = True
        self.since = now
        self.patience = patience_after(turn.verdict)
