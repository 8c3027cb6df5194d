"""The plan of a fleet's run: everything in order, and everything that is to happen does."""

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from fleet_plan import TOGETHER, WORKERS, ChangeKind, fleet_plan

from worker.sandbox.directive import read_directive

LARGE = fleet_plan(seed=3, conversations=1000, messages=10, rounds=6)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert fleet_plan(5, 20, 10, 1) == fleet_plan(5, 20, 10, 1)
    assert fleet_plan(5, 20, 10, 1) != fleet_plan(6, 20, 10, 1)


def test_every_conversation_has_its_messages_in_order() -> None:
    texts = defaultdict(list)
    for job in LARGE.asked.jobs:
        texts[job.task].append(job.text.rpartition("message ")[2].partition(" ")[0])
    assert len(texts) == 1000
    assert set(map(tuple, texts.values())) == {tuple(str(n) for n in range(1, 11))}
    assert len({job.text for job in LARGE.asked.jobs}) == 10_000


def test_a_few_conversations_are_spoken_in_at_a_time() -> None:
    """The messages of each come soon one after another: they pile up, in whatever queue."""
    last = {job.task: job.number for job in LARGE.asked.jobs}
    first: dict[int | None, int] = {}
    for job in LARGE.asked.jobs:
        first.setdefault(job.task, job.number)
    open_at = Counter(n for task in last for n in range(first[task], last[task] + 1))
    assert max(open_at.values()) == TOGETHER


def test_some_messages_meet_a_1011() -> None:
    directives = [read_directive(job.text) for job in LARGE.asked.jobs]
    kinds = Counter((each.scenario, each.answered) for each in directives)
    assert set(kinds) == {("load", True), ("1011", False), ("1011", True)}
    assert 400 < kinds["1011", False] < 600
    assert 100 < kinds["1011", True] < 300


def test_in_a_brief_run_no_change_meets_a_message_without_an_answer() -> None:
    brief = fleet_plan(3, 100, 10, 1, brief=True)
    numbers = [job.number for job in brief.asked.jobs if not read_directive(job.text).answered]
    assert brief.changes[-1].after < brief.whole_from <= min(numbers)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rounds", [1, 6, 20])
def test_all_workers_are_started_and_then_stopped_and_killed_in_turns(
    seed: int, rounds: int
) -> None:
    plan = fleet_plan(seed, 100, 10, rounds)
    starts, others = plan.changes[:2], plan.changes[2:]
    assert [(each.kind, each.worker) for each in starts] == [
        (ChangeKind.START, 1),
        (ChangeKind.START, 2),
    ]
    assert [each.kind for each in others] == [ChangeKind.STOP, ChangeKind.KILL] * rounds
    assert [each.worker for each in others] == [n % len(WORKERS) for n in range(2 * rounds)]
    assert all(one.after < other.after for one, other in pairwise(plan.changes))
    assert plan.changes[0].after > 0
    assert plan.changes[-1].after < plan.whole_from
