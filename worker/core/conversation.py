"""Which task a job by user belongs to.

AUI's documents do not say how the list of a user's tasks is sorted, but a task id is an
ObjectId, whose first four bytes are the seconds since 1970 at which it was made: the newest
over the first and the last page is the latest, whichever way the list runs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.core.said import Said

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
PAGE_SIZE = 50
CLOCK_SLACK = 60.0
"""Seconds that AUI's clock and a producer's may differ."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task of AUI: its id, and the task object exactly as AUI sent it."""

    id: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a user's tasks, how many there are in all, and the page as AUI sent it."""

    tasks: Sequence[Task]
    total: int
    size: int
    raw: bytes = field(default=b"", repr=False)

    @property
    def last(self) -> int:
        """The number of the last page, from 1."""
        return max(1, -(-self.total // max(1, self.size)))


def created_at(task_id: str) -> int | None:
    """Return when a task was made, in seconds since 1970; None if its id does not tell."""
    return int(task_id[:8], 16) if _OBJECT_ID.fullmatch(task_id) else None


def latest(tasks: Sequence[Task]) -> Task | None:
    """Return the task made last; the first of the list where no id tells."""
    return max(tasks, key=lambda task: created_at(task.id) or 0, default=None)


def already_made_for(
    text: str, newest: Task, history: Sequence[Said], published_at: float | None
) -> bool:
    """Tell whether a redelivered job that wanted a new task finds it made by its first delivery.

    It is ours if nobody has spoken in it yet, or if it opens with our text; and it cannot be
    older than the job.

    Args:
        text: the job's text.
        newest: the user's latest task.
        history: what was said in it, oldest first.
        published_at: the job's timestamp in seconds since 1970, if its producer set one.
    """
    made = created_at(newest.id)
    if published_at is not None and made is not None and made < published_at - CLOCK_SLACK:
        return False
    first = next((said.text for said in history if said.by_user), None)
    return first is None or first == text
