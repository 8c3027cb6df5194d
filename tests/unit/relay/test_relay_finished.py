"""A job that comes twice is known by network, task and id, as long as there is room."""

from dataclasses import replace

import pytest

from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.verdict import Source, judge
from worker.relay.finished import MAX_BYTES, MAX_JOBS, Ending, Finished

ADDRESS = Address("default", "job_1", "correlation_1", task_id="task_1")
BY_USER = replace(ADDRESS, user_id="user_1")


def final(address: Address = ADDRESS, body: bytes = b"{}") -> Reply:
    """Return the answer to a job."""
    return Replies(address, 0).final(body)


def failed(address: Address = ADDRESS) -> Reply:
    """Return the failure of a job."""
    return Replies(address, 0).failed(judge(Source.DEADLINE))


def numbered(number: int) -> Address:
    """Return the address of one of many jobs."""
    return replace(ADDRESS, job_id=f"job_{number}")


@pytest.mark.parametrize(("reply", "answered"), [(final(), True), (failed(), False)])
def test_an_ending_is_remembered_and_says_whether_it_is_an_answer(
    reply: Reply, answered: bool
) -> None:
    finished = Finished()
    finished.remember(reply, confirmed=True)
    assert finished.of(ADDRESS) == Ending(reply, confirmed=True)
    assert Ending(reply, confirmed=True).answered is answered


@pytest.mark.parametrize(
    "other",
    [
        replace(ADDRESS, job_id="job_2"),
        replace(ADDRESS, task_id="task_2"),
        replace(ADDRESS, network="acme"),
        replace(ADDRESS, task_id=None, user_id="user_1"),
    ],
)
def test_another_job_has_another_ending_or_none(other: Address) -> None:
    finished = Finished()
    finished.remember(final(), confirmed=True)
    assert finished.of(other) is None
    finished.remember(failed(other), confirmed=True)
    ending = finished.of(ADDRESS)
    assert ending is not None
    assert ending.answered


def test_a_job_of_a_task_is_the_same_whether_or_not_it_came_by_user() -> None:
    finished = Finished()
    finished.remember(final(BY_USER), confirmed=True)
    assert finished.of(ADDRESS) is not None


def test_a_job_by_user_whose_task_was_not_found_is_known_by_its_user() -> None:
    finished = Finished()
    nobody = replace(BY_USER, task_id=None)
    finished.remember(failed(nobody), confirmed=True)
    assert finished.of(nobody) is not None
    assert finished.of(replace(nobody, user_id="user_2")) is None


def test_the_newest_ending_counts() -> None:
    finished = Finished()
    for reply in (failed(), final()):
        finished.remember(reply, confirmed=False)
    finished.remember(final(), confirmed=True)
    assert finished.of(ADDRESS) == Ending(final(), confirmed=True)


@pytest.mark.parametrize(
    ("address", "confirmed", "told"),
    [
        (ADDRESS, True, True),
        (ADDRESS, False, False),
        (replace(ADDRESS, correlation_id="correlation_2"), True, False),
        (replace(ADDRESS, reply_to="sub.me"), True, False),
        (replace(ADDRESS, channel="sms"), True, False),
        (replace(ADDRESS, trace={"traceparent": "another"}), True, True),
    ],
)
def test_somebody_else_is_still_to_be_told_and_so_is_everybody_before_the_confirm(
    address: Address, confirmed: bool, told: bool
) -> None:
    assert Ending(final(), confirmed=confirmed).told(address) is told


def test_only_so_many_jobs_are_remembered_those_that_ended_last() -> None:
    finished = Finished(max_jobs=2)
    for number in (1, 2, 1, 3):
        finished.remember(final(numbered(number)), confirmed=True)
    known = [number for number in range(1, 4) if finished.of(numbered(number))]
    assert known == [1, 3]


def test_only_so_many_bytes_are_remembered_however_few_jobs_that_is() -> None:
    finished = Finished(max_bytes=100)
    for number in range(1, 5):
        finished.remember(final(numbered(number), b"x" * 40), confirmed=True)
    assert [number for number in range(1, 5) if finished.of(numbered(number))] == [3, 4]
    finished.remember(final(numbered(5), b"x" * 90), confirmed=True)
    assert [number for number in range(1, 6) if finished.of(numbered(number))] == [5]


def test_what_is_remembered_again_does_not_count_twice() -> None:
    finished = Finished(max_bytes=100)
    finished.remember(final(numbered(1), b"x" * 40), confirmed=True)
    for _ in range(5):
        finished.remember(final(numbered(2), b"x" * 60), confirmed=False)
    assert finished.of(numbered(1)) is not None


def test_an_answer_that_is_larger_than_all_room_is_not_remembered_and_leaves_the_room_free() -> (
    None
):
    finished = Finished(max_bytes=100)
    finished.remember(final(numbered(1), b"x" * 101), confirmed=True)
    assert finished.of(numbered(1)) is None
    for number in (2, 3):
        finished.remember(final(numbered(number), b"x" * 50), confirmed=True)
    assert [number for number in (2, 3) if finished.of(numbered(number))] == [2, 3]


def test_it_is_bounded_unless_told_otherwise() -> None:
    finished = Finished()
    half = b"x" * (MAX_BYTES // 2)
    for number in range(3):
        finished.remember(final(numbered(number), half), confirmed=True)
    assert finished.of(numbered(0)) is None
    for number in range(MAX_JOBS + 1):
        finished.remember(final(numbered(number + 10)), confirmed=True)
    assert finished.of(numbered(10)) is None
    assert finished.of(numbered(11)) is not None
