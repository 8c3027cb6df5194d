"""What is asked and what is broken in a run: a pure function of a seed and a size."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

MAX_TASKS = 2000


class FaultKind(StrEnum):
    """What may be broken. The first ten are what a short run has room for.

    No jobs queue is among it: to delete one deletes the accepted jobs that are in it, and no
    worker could answer for them. The same goes for ``aui.dropped`` and ``aui.dead``.
    """

    WORKER_KILL = "worker: SIGKILL"
    BROKER_LINK_RESET = "worker-broker: reset"
    SANDBOX_KILL = "AUI: SIGKILL"
    BROKER_LINK_BLACKHOLE = "worker-broker: blackhole"
    BROKER_STOP = "broker: SIGSTOP"
    AUI_LINK_RESET = "worker-AUI: reset"
    WORKERS_TERM = "workers: SIGTERM, rolling"
    BROKER_KILL = "broker: SIGKILL"
    HUB_DELETED = "exchange aui.replies deleted"
    WORKER_KILL_AGAIN = "worker: SIGKILL (again)"
    WORKER_STOP = "worker: SIGSTOP longer than heartbeats"
    AUI_LINK_BLACKHOLE = "worker-AUI: blackhole"
    MEMORY_ALARM = "broker: memory alarm"
    SANDBOX_STOP = "AUI: SIGSTOP"
    BROKER_LINK_FREEZE = "worker-broker: frozen longer than heartbeats"
    AUI_LINK_CUT_AFTER = "worker-AUI: cut in mid-frame"
    CONNECTIONS_CLOSED = "broker: close_all_connections"
    BROKER_LINK_CUT_AFTER = "worker-broker: cut in mid-frame"
    AUI_LINK_FREEZE = "worker-AUI: frozen"
    TASK_EXCHANGES_DELETED = "task exchanges deleted"
    BROKER_LINK_LATENCY = "worker-broker: latency"
    LEASES_DELETED = "lease queues deleted"
    AUI_LINK_LATENCY = "worker-AUI: latency"
    UNCLAIMED_DELETED = "queue aui.unclaimed deleted"


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job to publish.

    Attributes:
        number: its place in the order of publishing.
        job_id: its id.
        text: what the user says, directive and all; unique, but for the pairs said twice.
        scenario: the sandbox's misbehaviour, or nothing.
        chunk: what the lengths of its updates are multiples of, where that is so.
        task: the number of its task, or None for a job by user.
        user: the user's id, for a job by user.
        keyed_by: what it is published under: the slot, or the id itself.
        copies: how often it is published, with the same id.
        dated: it carries a timestamp.
    """

    number: int
    job_id: str
    text: str
    scenario: str = ""
    chunk: int = 0
    task: int | None = None
    user: str | None = None
    keyed_by: Literal["slot", "id"] = "slot"
    copies: int = 1
    dated: bool = True


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One thing to break.

    Attributes:
        number: its place among the faults.
        kind: what.
        after: how many jobs are accepted before: a run on a slow machine is the same run.
        seconds: how long, where it has a length.
        amount: how many bytes or objects, where it has a count.
    """

    number: int
    kind: FaultKind
    after: int
    seconds: float = 0.0
    amount: int = 0

    def __str__(self) -> str:
        seconds = f", {self.seconds:g} s" if self.seconds else ""
        amount = f", {self.amount}" if self.amount else ""
        return f"#{self.number} after {self.after} jobs: {self.kind}{seconds}{amount}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run to be: the same seed and sizes give the same plan."""

    seed: int
    tasks: int
    jobs: Sequence[PlannedJob]
    faults: Sequence[PlannedFault]


@dataclass(frozen=True, slots=True)
class _Habit:
    """A way for the sandbox to behave, and how many jobs in a hundred ask for it.

    ``patient``: nothing comes after it for as long as the worker's patience lasts, so it is not
    for the end of a run.
    """

    share: int
    directive: str
    patient: bool = False


_HABITS = (
    _Habit(24, ""),
    _Habit(48, "!load updates={updates} interval={interval} chunk={chunk}"),
    _Habit(4, "!load updates=40 interval=0.06 chunk={chunk}"),
    _Habit(4, "!1011 after={after} times=1"),
    _Habit(2, "!1011 after={after} times=1 answered=yes"),
    _Habit(4, "!cut after={after} times=1"),
    _Habit(4, "!reset after={after} times=1"),
    _Habit(2, "!lag seconds=1.5"),
    _Habit(2, "!error status=503 times=1"),
    _Habit(1, "!error status=429 retry_after=1 times=1"),
    _Habit(2, "!1008"),
    _Habit(2, "!400"),
    _Habit(1, "!garbage times=1", patient=True),
)
_PHRASES = (
    "a built-in microwave, please",
    "which fridge is the quietest?",
    "show me espresso machines",
    "and the cheapest one?",
    "a vacuum cleaner for a cat",
    "headphones for the train",
    "thank you",
)
_SAID_TWICE, _PUBLISHED_TWICE, _BY_USER, _UNDATED = 0.03, 0.02, 0.05, 0.1
REJECTED = ("1008", "400")
"""Scenarios that end in ``failed``, as they should."""
ENDED_BY_AUI = ("1011", "error")
"""Scenarios in which AUI itself says that it failed."""


def plan(seed: int, jobs: int, faults: int, kinds: Sequence[FaultKind] = tuple(FaultKind)) -> Plan:
    """Make the plan of a run.

    Args:
        seed: what it is drawn from.
        jobs: how many of them.
        faults: how many, spread evenly over the jobs.
        kinds: what they may be; they come in turns.
    """
    draw = random.Random(seed)
    tasks = max(1, min(jobs // 5, MAX_TASKS))
    return Plan(seed, tasks, _jobs(draw, seed, jobs, tasks), _faults(draw, jobs, faults, kinds))


def _jobs(draw: random.Random, seed: int, count: int, tasks: int) -> list[PlannedJob]:
    jobs: list[PlannedJob] = []
    repeating: dict[int, PlannedJob] = {}
    for number in range(count):
        job_id = f"chaos-{seed}-{number}"
        if draw.random() < _BY_USER:
            jobs.append(_by_user(draw, number, job_id, users=max(1, tasks // 10)))
            continue
        task = draw.randrange(tasks)
        said = repeating.pop(task, None)
        if said is not None:
            jobs.append(replace(said, number=number, job_id=job_id))
            continue
        job = _to_task(draw, number, job_id, task, early=number < count // 2)
        if job.copies == 1 and job.dated and draw.random() < _SAID_TWICE:
            repeating[task] = job
        jobs.append(job)
    return jobs


def _to_task(
    draw: random.Random, number: int, job_id: str, task: int, *, early: bool
) -> PlannedJob:
    habits = [habit for habit in _HABITS if early or not habit.patient]
    (habit,) = draw.choices(habits, [habit.share for habit in habits])
    # Every task has a length of its own to count its updates by: a foreign one shows.
    chunk = 11 + task % 97
    directive = habit.directive.format(
        updates=draw.randint(2, 8),
        interval=draw.choice(("0.02", "0.05", "0.1")),
        chunk=chunk,
        after=draw.randint(0, 12),
    )
    scenario = directive.removeprefix("!").partition(" ")[0]
    twice = scenario in ("", "load") and draw.random() < _PUBLISHED_TWICE
    return PlannedJob(
        number,
        job_id,
        _text(draw, directive, job_id),
        scenario,
        chunk if scenario == "load" else 0,
        task,
        # The jobs of one task come the same way: one that takes the hop may be overtaken.
        keyed_by="id" if task % 7 == 0 else "slot",
        copies=2 if twice else 1,
        dated=draw.random() >= _UNDATED,
    )


def _by_user(draw: random.Random, number: int, job_id: str, users: int) -> PlannedJob:
    user = f"+49 170 {draw.randrange(users):07d}"
    return PlannedJob(number, job_id, _text(draw, "", job_id), user=user)


def _text(draw: random.Random, directive: str, nonce: str) -> str:
    text = f"{draw.choice(_PHRASES)} ({nonce})"
    return f"{directive} | {text}" if directive else text


def _faults(
    draw: random.Random, jobs: int, count: int, kinds: Sequence[FaultKind]
) -> list[PlannedFault]:
    drawn = list(_drawn(draw, count, kinds))
    step = jobs / (count + 1)
    return [
        PlannedFault(
            number,
            kind,
            after=round(step * (number + 1 + draw.uniform(-0.25, 0.25))),
            seconds=_SECONDS.get(kind, 0.0),
            amount=draw.randint(*_AMOUNTS[kind]) if kind in _AMOUNTS else 0,
        )
        for number, kind in enumerate(drawn)
    ]


def _drawn(draw: random.Random, count: int, kinds: Sequence[FaultKind]) -> Iterator[FaultKind]:
    """Draw kinds, each as often as any other but for the last round."""
    for first in range(0, count, len(kinds)):
        some = list(kinds[: count - first])
        draw.shuffle(some)
        if first + len(kinds) >= count and FaultKind.SANDBOX_KILL in some:
            # Its answers are lost for good, and looked for in vain: not at the end of a run.
            some.remove(FaultKind.SANDBOX_KILL)
            some.insert(draw.randint(0, len(some) // 2), FaultKind.SANDBOX_KILL)
        yield from some


_SECONDS = {
    FaultKind.BROKER_LINK_BLACKHOLE: 2.0,
    FaultKind.AUI_LINK_BLACKHOLE: 2.0,
    FaultKind.BROKER_LINK_FREEZE: 8.0,
    FaultKind.AUI_LINK_FREEZE: 3.0,
    FaultKind.BROKER_LINK_LATENCY: 4.0,
    FaultKind.AUI_LINK_LATENCY: 4.0,
    FaultKind.WORKER_STOP: 8.0,
    FaultKind.SANDBOX_STOP: 3.0,
    FaultKind.BROKER_STOP: 3.0,
    FaultKind.MEMORY_ALARM: 3.0,
}
_AMOUNTS = {
    FaultKind.BROKER_LINK_CUT_AFTER: (1, 20_000),
    FaultKind.AUI_LINK_CUT_AFTER: (1, 5_000),
    FaultKind.TASK_EXCHANGES_DELETED: (5, 30),
}
