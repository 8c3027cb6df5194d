"""What of a task's history is accounted for is remembered, task by task."""

import pytest

from worker.core.history import Previous
from worker.relay.memory import Account, Memory


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
    monkeypatch.setattr("worker.relay.memory.REMEMBERED", 2)
    memory = Memory()
    memory.answered("default", "anna", Previous("answer_1"))
    memory.claim("default", "ben", ["said_1"])
    memory.claim("default", "anna", ["said_2"])
    memory.answered("default", "carl", Previous("answer_2"))
    known = [name for name in ("anna", "ben", "carl") if memory.of("default", name) != Account()]
    assert known == ["anna", "carl"]


def test_claiming_nothing_takes_up_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.relay.memory.REMEMBERED", 1)
    memory = Memory()
    memory.answered("default", "anna", Previous("answer_1"))
    memory.claim("default", "ben", [])
    assert memory.of("default", "anna").previous is not None
