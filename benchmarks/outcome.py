"""What one load on one worker came to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Outcome:
    """What one load on one worker came to. Times in seconds, latencies in ms, memory in kB.

    Attributes:
        wall: from the first job's publishing to the last final's arrival.
        cpu: of the worker, until it had settled.
        others: CPU of the broker, the load server and the driver, and of what is none of ours.
        held_kb: what all its conversations, open and idle, added to the memory.
        rss_kb: the memory after it; ``peak_kb``: at its highest, since the worker was started.
        sockets: how many were opened to the load server.
        stalls: how often one of them took no more.
        latencies: of each update, from its socket to its subscriber; sorted.
        firsts: of each job, from its publishing to its first update; sorted.
        skipped: updates that came only within a later one.
        lost: jobs without a final.
        breaches: what was wrong, and how often.
        body_bytes: what the subscriber got, in all.
    """

    load: str
    jobs: int
    updates: int
    wall: float = 0.0
    cpu: float = 0.0
    others: dict[str, float] = field(default_factory=dict)
    held_kb: int = 0
    rss_kb: int = 0
    peak_kb: int = 0
    sockets: int = 0
    stalls: int = 0
    latencies: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    seen: int = 0
    skipped: int = 0
    lost: int = 0
    broken: int = 0
    breaches: list[str] = field(default_factory=list)
    body_bytes: int = 0

    @property
    def sound(self) -> bool:
        """Nothing was lost, doubled, reordered or mixed up."""
        return not (self.lost or self.broken)

    def as_json(self) -> dict[str, Any]:
        """Return it without the single latencies."""
        told = asdict(self)
        for name in ("latencies", "firsts"):
            values = told.pop(name)
            told[name] = {str(part): percentile(values, part) for part in (50, 90, 99, 100)}
        return told


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return a percentile of sorted values; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * part / 100))]
