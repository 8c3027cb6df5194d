"""What the flow counts and measures; these methods do nothing, at next to no cost.

That is what runs while metrics are off. :mod:`worker.telemetry.meters` counts and measures; the
catalogue says what each metric is. All times are in seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from worker.core.reply import ReplyKind
from worker.core.verdict import Verdict

Unclaimed = Literal["unrouted", "refused"]


@dataclass(frozen=True, slots=True)
class Readings:
    """Where gauges are read, when somebody looks; also from other threads than the event loop's.

    Each returns a number, or numbers by network, by link, or by network and queue; a mapping is a
    new one, or one that does not change any more.

    Attributes:
        in_flight: jobs worked on.
        waiting: jobs that wait for their turn in their lanes.
        pending: messages published and not yet confirmed.
        ready: whether the worker is.
        brown: whether each network is browned out.
        conversations: WebSockets with a turn on them, by network.
        sockets_kept: WebSockets kept without one, by network.
        links_up: whether each connection to the broker stands.
        links_blocked: whether the broker takes no publishes over it.
        partitions: whether the broker has our consumer on each queue, by network and queue.
    """

    in_flight: Callable[[], int]
    waiting: Callable[[], int]
    pending: Callable[[], int]
    ready: Callable[[], bool]
    brown: Callable[[], Mapping[str, bool]]
    conversations: Callable[[], Mapping[str, int]]
    sockets_kept: Callable[[], Mapping[str, int]]
    links_up: Callable[[], Mapping[str, bool]]
    links_blocked: Callable[[], Mapping[str, bool]]
    partitions: Callable[[], Mapping[tuple[str, str], bool]]


class Metrics:
    """One method for each thing that happens."""

    def job_begun(self, network: str, queue_wait: float | None) -> None:
        """Work on a job begins.

        Args:
            network: its network.
            queue_wait: how long ago it was published, if its producer said when.
        """

    def job_ended(self, network: str, verdict: Verdict, seconds: float) -> None:
        """Work on a job has ended, so long after it began."""

    def dead_lettered(self, network: str, reason: str) -> None:
        """A job was put into ``aui.dead``."""

    def retried(self, network: str, reason: str) -> None:
        """An interrupted attempt will be followed by another."""

    def attempt_ended(
        self,
        network: str,
        verdict: Verdict,
        seconds: float,
        first_text: float | None = None,
        per_text: float | None = None,
    ) -> None:
        """An attempt at AUI has ended.

        Args:
            network: where.
            verdict: how.
            seconds: how long it took in all.
            first_text: from the request sent to the first text, if one came.
            per_text: the mean time between two texts, if more than one came.
        """

    def first_text(self, network: str, seconds: float) -> None:
        """The first text of a job was published, so long after the job arrived."""

    def sent(self, kind: ReplyKind) -> None:
        """A reply was published."""

    def confirmed(self, seconds: float) -> None:
        """A terminal reply was confirmed, so long after it was published."""

    def coalesced(self, updates: int) -> None:
        """So many updates gave way to a newer one."""

    def recovered(self, network: str) -> None:
        """An answer was found in the history of its task."""

    def averted(self, network: str) -> None:
        """A message was not sent a second time."""

    def browned_out(self, network: str) -> None:
        """A network is left alone from now on."""

    def unclaimed(self, reason: Unclaimed) -> None:
        """A terminal reply was put into ``aui.unclaimed``."""

    def observe(self, readings: Readings) -> None:
        """Have the gauges read there from now on; called once."""
