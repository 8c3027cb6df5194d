"""Which letters are meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from worker.dead.head import Head

_NUMBERED = re.compile(r"(.*)#([0-9]+)", re.DOTALL)


class NoSuchLetter(Exception):
    """A letter was named that is not there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A choice of letters: all that satisfy every part of it that is given.

    Attributes:
        jobs: names of letters: a job id, or ``ID#2`` for the second letter of that job.
        reasons: words of the verdict table.
        networks: their names.
        tasks: their ids.
        channels: their labels.
        limit: so many, the oldest.
    """

    jobs: Sequence[str] = ()
    reasons: Sequence[str] = ()
    networks: Sequence[str] = ()
    tasks: Sequence[str] = ()
    channels: Sequence[str] = ()
    limit: int | None = None

    @property
    def anything(self) -> bool:
        """Nothing is asked for in particular."""
        return not (self.jobs or self.reasons or self.networks or self.tasks or self.channels)

    def covers(self, head: Head) -> bool:
        """Tell whether a letter satisfies all but its name."""
        return (
            (not self.reasons or head.reason in self.reasons)
            and (not self.networks or head.network in self.networks)
            and (not self.tasks or head.task_id in self.tasks)
            and (not self.channels or head.channel in self.channels)
        )


def chosen(heads: Sequence[Head], wanted: Wanted) -> list[Head]:
    """Return the letters that are meant, in their order.

    Args:
        heads: all letters, in order.
        wanted: the choice.

    Raises:
        NoSuchLetter: one was named that is not there.
    """
    named: set[str] | None = None
    if wanted.jobs:
        named = {head.identity for name in wanted.jobs for head in _called(heads, name)}
    meant = [
        head for head in heads if (named is None or head.identity in named) and wanted.covers(head)
    ]
    return meant if wanted.limit is None else meant[: wanted.limit]


def _called(heads: Sequence[Head], name: str) -> list[Head]:
    found = [head for head in heads if head.job_id == name]
    numbered = _NUMBERED.fullmatch(name)
    if not found and numbered is not None:
        of_job = [head for head in heads if head.job_id == numbered[1]]
        found = of_job[int(numbered[2]) - 1 : int(numbered[2])] if int(numbered[2]) else []
    if not found:
        raise NoSuchLetter(f"no letter of job {name}")
    return found
