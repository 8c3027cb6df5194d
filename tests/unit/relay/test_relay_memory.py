"""What is accounted for of a task's history is remembered, and what is known of a postponed job."""

import pytest

from worker.core.asked import Asked
from worker.core.history import Previous
from worker.relay.memory import Account, Memory

JOB = ("default", "task_1", "job_1")


def test_of_a_task_that_is_not_known_nothing_is_accounted_for() -> None:
    assert Memory().of("default", "task_1") == Account(None, frozenset())


def test_the_newest_final_accounts_for_everything_before_it() -> None:
    memory = Memory()
    memory.claim("default", "task_1", ["said_1"])
    for previous in (Previous("answer_1", 1.0), Previous("answer_2")):
        memory.answered("default", "task_1", previous)
    assert memory.of("default", "task_1") == Account(Previous("answer_2"), frozenset())


def test_messages_of_jobs_without_a_final_are_claimed_one_job_after_another() -> None:
    memory = Memory()
    memory.answered("default", "task_1", Previous("answer_1"))
    for messages in (["said_2", "said_3"], [], ["said_4"]):
        memory.claim("default", "task_1", messages)
    claimed = frozenset({"said_2", "said_3", "said_4"})
    assert memory.of("default", "task_1") == Account(Previous("answer_1"), claimed)


def test_a_task_means_something_else_in_another_network() -> None:
    memory = Memory()
    memory.answered("default", "task_1", Previous("answer_1"))
    memory.claim("acme", "task_1", ["said_1"])
    assert memory.of("default", "task_1") == Account(Previous("answer_1"))
    assert memory.of("acme", "task_1") == Account(None, frozenset({"said_1"}))
    assert memory.of("default", "task_2") == Account()


def test_only_so_many_tasks_are_remembered_those_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.relay.memory.TASKS", 2)
    memory = Memory()
    memory.answered("default", "anna", Previous("answer_1"))
    memory.claim("default", "ben", ["said_1"])
    memory.claim("default", "anna", ["said_2"])
    memory.answered("default", "carl", Previous("answer_2"))
    known = [name for name in ("anna", "ben", "carl") if memory.of("default", name) != Account()]
    assert known == ["anna", "carl"]


def test_claiming_nothing_takes_up_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.relay.memory.TASKS", 1)
    memory = Memory()
    memory.answered("default", "anna", Previous("answer_1"))
    memory.claim("default", "ben", [])
    assert memory.of("default", "anna").previous is not None


def test_a_postponed_job_is_known_when_it_comes_back_and_then_no_more() -> None:
    memory = Memory()
    asked = Asked(maybe=True, since=7.0)
    memory.postpone(JOB, 3, asked)
    assert memory.resume(JOB, 4) is asked
    assert memory.resume(JOB, 4) is None


@pytest.mark.parametrize("count", [3, 5])
def test_of_a_job_that_others_had_in_between_nothing_is_known(count: int) -> None:
    memory = Memory()
    memory.postpone(JOB, 3, Asked(maybe=False, since=7.0))
    assert memory.resume(JOB, count) is None
    assert memory.resume(JOB, 4) is None


@pytest.mark.parametrize(
    "other", [("acme", "task_1", "job_1"), ("default", "task_2", "job_1"), (*JOB[:2], "job_2")]
)
def test_another_job_was_not_postponed(other: tuple[str, str, str]) -> None:
    memory = Memory()
    memory.postpone(JOB, 0, Asked(maybe=False, since=7.0))
    assert memory.resume(other, 1) is None


def test_only_so_many_postponed_jobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.relay.memory.POSTPONED", 2)
    memory = Memory()
    jobs = [(*JOB[:2], f"job_{number}") for number in range(3)]
    for job in jobs:
        memory.postpone(job, 0, Asked(maybe=False, since=7.0))
    assert [memory.resume(job, 1) is not None for job in jobs] == [False, True, True]
