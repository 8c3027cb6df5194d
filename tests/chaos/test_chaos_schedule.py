"""The plan: the same seed gives the same run, and everything that is to happen does."""

from collections import Counter

import pytest
from schedule import FaultKind, plan

from worker.sandbox.directive import read_directive

SOAK = plan(seed=3, jobs=20_000, faults=60)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan(5, 500, 10) == plan(5, 500, 10)
    assert plan(5, 500, 10) != plan(6, 500, 10)


@pytest.mark.parametrize("seed", range(20))
def test_a_short_run_has_the_first_ten_kinds(seed: int) -> None:
    faults = plan(seed, 500, 10).faults
    assert {fault.kind for fault in faults} == set(list(FaultKind)[:10])
    order = [fault.after for fault in faults]
    assert order == sorted(order)
    assert 0 < order[0] < order[-1] < 500
    killed = next(fault for fault in faults if fault.kind is FaultKind.SANDBOX_KILL)
    assert killed.number <= 5


def test_a_long_run_has_every_kind_as_often() -> None:
    counts = Counter(fault.kind for fault in SOAK.faults)
    assert set(counts) == set(FaultKind)
    assert set(counts.values()) == {2, 3}


def test_the_sandbox_can_follow_every_directive() -> None:
    scenarios = Counter(read_directive(job.text).scenario for job in SOAK.jobs)
    assert scenarios == Counter(job.scenario for job in SOAK.jobs)
    assert {"", "load", "1011", "1008", "400", "cut", "reset", "lag", "error", "garbage"} == set(
        scenarios
    )


def test_ids_are_unique_and_texts_but_for_those_said_twice_in_a_row() -> None:
    assert len({job.job_id for job in SOAK.jobs}) == len(SOAK.jobs)
    last: dict[int | None, str] = {}
    twice = 0
    said = set()
    for job in SOAK.jobs:
        if job.text in said:
            assert last[job.task] == job.text
            twice += 1
        said.add(job.text)
        last[job.task] = job.text
    assert twice > 100


def test_jobs_come_in_every_way() -> None:
    assert {job.keyed_by for job in SOAK.jobs} == {"slot", "id"}
    assert {job.copies for job in SOAK.jobs} == {1, 2}
    assert {job.dated for job in SOAK.jobs} == {True, False}
    assert {job.task is None for job in SOAK.jobs} == {True, False}
    assert all((job.task is None) != (job.user is None) for job in SOAK.jobs)


def test_what_takes_all_of_the_workers_patience_is_not_at_the_end() -> None:
    numbers = [job.number for job in SOAK.jobs if job.scenario == "garbage"]
    assert max(numbers) < len(SOAK.jobs) / 2
