"""Letters counted by what they died of, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from worker.dead.head import Head


@dataclass(frozen=True, slots=True)
class Group:
    """The letters of one reason and network.

    Attributes:
        reason: why they died.
        network: their network.
        count: how many.
        oldest: when the first of them died.
        newest: when the last did.
        sample: the last one.
    """

    reason: str
    network: str
    count: int
    oldest: datetime | None
    newest: datetime | None
    sample: Head


def groups(heads: Sequence[Head]) -> list[Group]:
    """Group letters by reason and network, the largest group first."""
    members: dict[tuple[str, str], list[Head]] = {}
    for head in heads:
        members.setdefault((head.reason, head.network), []).append(head)
    found = []
    for (reason, network), letters in members.items():
        dated = [head.died_at for head in letters if head.died_at is not None]
        oldest, newest = min(dated, default=None), max(dated, default=None)
        found.append(Group(reason, network, len(letters), oldest, newest, letters[-1]))
    return sorted(found, key=lambda group: (-group.count, group.network, group.reason))


def group_as_json(group: Group) -> dict[str, Any]:
    """Return a group as ``list --json`` prints it; times in ISO 8601, null where not known."""
    return {
        "reason": group.reason,
        "network": group.network,
        "count": group.count,
        "oldest": _when(group.oldest),
        "newest": _when(group.newest),
        "sample": head_as_json(group.sample),
    }


def head_as_json(head: Head) -> dict[str, Any]:
    """Return a letter as ``list --letters --json`` prints it."""
    return {
        "name": head.name,
        "job": head.job_id,
        "reason": head.reason,
        "network": head.network,
        "channel": head.channel,
        "task": head.task_id,
        "user": head.user_id,
        "died_at": _when(head.died_at),
        "edited_at": head.edited_at or None,
        "replays": head.replays,
        "error": head.error,
    }


def _when(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
