"""What a fleet is asked and when its workers come and go: a pure function of a seed and sizes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schedule import FaultKind, Plan, PlannedJob

WORKERS = ("w1", "w2", "w3")
TOGETHER = 4
"""Conversations that are spoken in at a time, so that the messages of each pile up."""
AWAY = (0.0, 3.0)
"""Seconds for which a worker stays away."""
_LOAD = "!load updates={updates} interval={interval} chunk={chunk}"
_INTERVALS = ("0.02", "0.05", "0.1")
_UNANSWERED = "!1011 after={after} times=1"
_HABITS = (_LOAD, _UNANSWERED, f"{_UNANSWERED} answered=yes")
"""AUI answers, or fails with a 1011: without an answer, or with one in the history."""


class ChangeKind(StrEnum):
    """What happens to a worker."""

    START = "worker: started"
    STOP = "worker: SIGTERM, and started again"
    KILL = FaultKind.WORKER_KILL.value


@dataclass(frozen=True, slots=True)
class Change:
    """One worker comes, or goes and comes back.

    Attributes:
        number: its place among the changes.
        kind: what.
        worker: which, as an index of ``WORKERS``.
        after: how many jobs are accepted before.
        away: seconds between its end and its next start.
    """

    number: int
    kind: ChangeKind
    worker: int
    after: int
    away: float = 0.0

    def __str__(self) -> str:
        away = f", away for {self.away:.1f} s" if self.away else ""
        return f"#{self.number} after {self.after} jobs: {self.kind} ({WORKERS[self.worker]}){away}"


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """A fleet's run to be: the same seed and sizes give the same plan.

    Attributes:
        asked: the jobs, in the order of their publishing.
        messages: in each conversation.
        changes: in their order; the first worker is there before any job.
        whole_from: the number of the job that waits until every change is over.
    """

    asked: Plan
    messages: int
    changes: Sequence[Change]
    whole_from: int


def fleet_plan(
    seed: int, conversations: int, messages: int, rounds: int, *, brief: bool = False
) -> FleetPlan:
    """Make the plan of a run.

    Args:
        seed: what it is drawn from.
        conversations: how many.
        messages: in each, published one after another without waiting for an answer.
        rounds: how often workers are stopped and killed; in each round a worker is stopped, and
            then another killed, in turns. Where partitions only fail over, it is always the one
            that has them.
        brief: no change meets a message that AUI leaves without an answer: whoever gets such a
            message from a worker that is gone waits for its answer for half a minute.
    """
    draw = random.Random(seed)
    count = conversations * messages
    whole_from = count * 3 // 4
    jobs = list(_jobs(draw, seed, conversations, messages, whole_from if brief else 0))
    changes = list(_changes(draw, count, rounds))
    return FleetPlan(Plan(seed, conversations, jobs, ()), messages, changes, whole_from)


def _jobs(
    draw: random.Random, seed: int, conversations: int, messages: int, unanswered_from: int
) -> Iterator[PlannedJob]:
    """Speak in a few conversations at a time; when one is over, the next begins."""
    spoken = dict.fromkeys(range(min(TOGETHER, conversations)), 0)
    following = iter(range(len(spoken), conversations))
    for number in range(conversations * messages):
        task = draw.choice(list(spoken))
        shares = [93, 5, 2] if number >= unanswered_from else [98, 0, 2]
        (habit,) = draw.choices(_HABITS, shares)
        yield _job(draw, habit, f"fleet-{seed}-{number}", number, task, spoken[task])
        spoken[task] += 1
        if spoken[task] == messages:
            del spoken[task]
            spoken.update(
                {another: 0 for another in [next(following, None)] if another is not None}
            )


def _job(
    draw: random.Random, habit: str, job_id: str, number: int, task: int, place: int
) -> PlannedJob:
    # Every task has a length of its own to count its updates by: a foreign one shows.
    chunk = 11 + task % 97
    directive = habit.format(
        updates=draw.randint(1, 4),
        interval=draw.choice(_INTERVALS),
        chunk=chunk,
        after=draw.randint(0, 6),
    )
    scenario = directive.removeprefix("!").partition(" ")[0]
    text = f"{directive} | message {place + 1} ({job_id})"
    return PlannedJob(number, job_id, text, scenario, chunk if habit == _LOAD else 0, task)


def _changes(draw: random.Random, jobs: int, rounds: int) -> Iterator[Change]:
    """Start one after another in the first tenth, then go round until two thirds are over."""
    for worker in range(1, len(WORKERS)):
        yield Change(worker - 1, ChangeKind.START, worker, jobs * worker // 20)
    first = len(WORKERS) - 1
    step = jobs // 2 // (2 * rounds)
    for turn in range(2 * rounds):
        kind = ChangeKind.KILL if turn % 2 else ChangeKind.STOP
        after = jobs // 6 + step * turn
        yield Change(first + turn, kind, turn % len(WORKERS), after, round(draw.uniform(*AWAY), 1))
