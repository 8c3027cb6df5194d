"""What the worker remembers of tasks and jobs it has met lately, so that nobody is asked twice."""

from collections.abc import Collection
from dataclasses import dataclass

from cachetools import LRUCache

from worker.core.asked import Asked
from worker.core.history import Previous

TASKS = 20_000
POSTPONED = 20_000
"""A few hundred bytes each."""

JobKey = tuple[str, str, str]
"""Network, task and job id."""


@dataclass(frozen=True, slots=True)
class Account:
    """What of a task's history belongs to earlier jobs.

    Attributes:
        previous: its last final; everything before it is accounted for.
        claimed: ids of later user messages of jobs that got no final.
    """

    previous: Previous | None = None
    claimed: frozenset[str] = frozenset()


class Memory:
    """Keeps the accounts of tasks, and what is known of jobs that went back to their queues."""

    def __init__(self) -> None:
        self._accounts: LRUCache[tuple[str, str], Account] = LRUCache(TASKS)
        self._postponed: LRUCache[JobKey, tuple[int, Asked]] = LRUCache(POSTPONED)

    def of(self, network: str, task_id: str) -> Account:
        """Return what is known of a task."""
        return self._accounts.get((network, task_id), Account())

    def answered(self, network: str, task_id: str, previous: Previous) -> None:
        """Note a task's newest final."""
        self._accounts[network, task_id] = Account(previous)

    def claim(self, network: str, task_id: str, messages: Collection[str]) -> None:
        """Note user messages of a job that ended without a final."""
        if messages:
            known = self.of(network, task_id)
            claimed = known.claimed | frozenset(messages)
            self._accounts[network, task_id] = Account(known.previous, claimed)

    def postpone(self, job: JobKey, delivery_count: int, asked: Asked) -> None:
        """Note what is known of a job that goes back to its queue.

        Args:
            job: which.
            delivery_count: how often it had been handed out before it came here.
            asked: what is known.
        """
        self._postponed[job] = (delivery_count, asked)

    def resume(self, job: JobKey, delivery_count: int) -> Asked | None:
        """Return what is known of a job that comes back; None if others had it in between."""
        count, asked = self._postponed.pop(job, (None, None))
        return asked if count is not None and count + 1 == delivery_count else None
