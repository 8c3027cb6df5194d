"""How fast a run was around each fault, and how large its workers grew."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from records import Evidence, Happened

BEFORE = 10
"""Seconds whose median throughput is what a fault took away."""
WINDOW = 2.0
"""Seconds over which throughput is taken when it comes back."""
STEP = 0.25
ENOUGH = 0.8
DIPS_WITHIN = 5.0
"""Seconds after a fault in which throughput falls, if it falls."""
WARM_UP = 20.0
"""Seconds of a worker's life in which it may grow."""
MEGABYTE = 1024 * 1024


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where that cannot be known."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def recovery(evidence: Evidence) -> list[str]:
    """Tabulate the faults: when, how long, and how long until jobs ended as fast as before."""
    first: dict[str, float] = {}
    for reply in evidence.replies:
        if reply.terminal:
            first.setdefault(reply.job_id, reply.at)
    ends = sorted(first.values())
    start = min((publish.at for publish in evidence.published), default=0.0)
    last = max((publish.at for publish in evidence.published), default=0.0)
    lines = [
        "| at, s | fault | lasted, s | jobs/s before | back at 80 % after, s |",
        "|---:|---|---:|---:|---:|",
    ]
    for fault in sorted(evidence.faults, key=lambda fault: fault.began):
        before = _rate_before(ends, start, fault.began)
        after = _recovered_after(ends, fault, before, last)
        told = "not while jobs came" if after is None else f"{after:.1f}"
        what = f"{fault.kind} ({fault.hit})" if fault.hit else fault.kind
        lines.append(
            f"| {fault.began - start:.0f} | {what} | {fault.ended - fault.began:.1f}"
            f" | {before:.1f} | {told} |"
        )
    return lines


def memory(evidence: Evidence) -> list[str]:
    """Tabulate the memory of each life of each worker, after warming up."""
    lives: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for vitals in evidence.vitals:
        lives[vitals.program].append((vitals.at, vitals.rss_bytes))
    lines = [
        "| worker | lived, s | warm, MB | highest, MB | last, MB | growth |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, pulses in sorted(lives.items()):
        born, died = pulses[0][0], pulses[-1][0]
        warm = [size for at, size in pulses if at >= born + WARM_UP]
        if warm:
            growth = 100 * (warm[-1] / warm[0] - 1)
            lines.append(
                f"| {name} | {died - born:.0f} | {warm[0] / MEGABYTE:.1f}"
                f" | {max(warm) / MEGABYTE:.1f} | {warm[-1] / MEGABYTE:.1f} | {growth:+.0f} % |"
            )
    return lines


def _rate_before(ends: Sequence[float], start: float, at: float) -> float:
    """Return the median of the jobs that ended in each of the last seconds."""
    seconds = max(1, min(BEFORE, int(at - start)))
    return float(median(_count(ends, at - past - 1, at - past) for past in range(seconds)))


def _recovered_after(
    ends: Sequence[float], fault: Happened, before: float, until: float
) -> float | None:
    """Return the seconds from a fault's begin to the first fast window after a slow one."""
    at, slow = fault.began, False
    while at <= until:
        fast = _count(ends, at, at + WINDOW) / WINDOW >= ENOUGH * before
        if slow and fast:
            return at - fault.began
        slow = slow or not fast
        if not slow and at > fault.ended + DIPS_WITHIN:
            return 0.0
        at += STEP
    return None if slow else 0.0


def _count(ends: Sequence[float], since: float, until: float) -> int:
    return bisect_left(ends, until) - bisect_left(ends, since)
