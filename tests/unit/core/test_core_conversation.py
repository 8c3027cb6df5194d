"""Which task a user's message belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.conversation import (
    Task,
    TaskPage,
    already_made_for,
    created_at,
    latest,
)
from worker.core.said import Said

MADE = 0x68E78D0D
"""2025-10-09 10:23:41 UTC: when the task of AUI's documents was made, by its id."""


def task(seconds: int, rest: str = "c5a4b19a030d03d6") -> Task:
    """A task whose ObjectId was made at that time."""
    return Task(f"{seconds:08x}{rest}", b"{}")


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("68e78d0dc5a4b19a030d03d6", MADE),
        ("00000000c5a4b19a030d03d6", 0),
        ("ffffffffc5a4b19a030d03d6", 2**32 - 1),
        ("68E78D0DC5A4B19A030D03D6", None),
        ("68e78d0dc5a4b19a030d03d", None),
        ("68e78d0dc5a4b19a030d03d6\n", None),
        ("8af51ed1-0181-4bc8-bbc9-29949b8e26da", None),
        ("task-1", None),
        ("", None),
    ],
)
def test_an_object_id_tells_when_it_was_made(task_id: str, expected: int | None) -> None:
    assert created_at(task_id) == expected


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([], None),
        ([task(5)], task(5)),
        ([task(5), task(9), task(7)], task(9)),
        ([task(9), task(7), task(5)], task(9)),
        ([task(9, "a" * 16), task(9, "b" * 16)], task(9, "a" * 16)),
        ([Task("x", b"1"), Task("y", b"2")], Task("x", b"1")),
        ([Task("x", b"1"), task(1), Task("y", b"2")], task(1)),
        ([Task("x", b"1"), task(0)], Task("x", b"1")),
    ],
    ids=["none", "one", "mixed", "newest first", "tie", "opaque", "one tells", "nobody tells"],
)
def test_the_latest_task(tasks: list[Task], expected: Task | None) -> None:
    assert latest(tasks) == expected


@MANY
@given(
    seconds=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=25, unique=True),
    size=st.integers(1, 10),
    newest_first=st.booleans(),
)
def test_the_latest_is_on_the_first_or_the_last_page_whichever_way_it_runs(
    seconds: list[int], size: int, newest_first: bool
) -> None:
    listed = [task(made) for made in sorted(seconds, reverse=newest_first)]
    pages = [listed[start : start + size] for start in range(0, len(listed), size)]
    first = TaskPage(pages[0], total=len(listed), size=size)
    assert first.last == len(pages)
    assert latest([*first.tasks, *pages[first.last - 1]]) == task(max(seconds))


@pytest.mark.parametrize(
    ("total", "size", "last"),
    [
        (0, 10, 1),
        (1, 10, 1),
        (10, 10, 1),
        (11, 10, 2),
        (24, 10, 3),
        (3, 1, 3),
        (5, 0, 5),
        (-1, 10, 1),
    ],
)
def test_the_number_of_the_last_page(total: int, size: int, last: int) -> None:
    assert TaskPage([], total, size).last == last


@pytest.mark.parametrize(
    ("history", "published_at", "expected"),
    [
        ([], None, True),
        ([], MADE, True),
        ([], MADE + 60, True),
        ([], MADE + 61, False),
        ([], MADE - 3600, True),
        ([Said("Hi!", by_user=False)], MADE, True),
        ([Said("hello", by_user=True)], MADE, True),
        ([Said("hello", by_user=True)], None, True),
        ([Said("hello", by_user=True)], MADE + 61, False),
        ([Said("other", by_user=True)], MADE, False),
        ([Said("hello", by_user=False)], MADE, True),
        ([Said("Hi!", by_user=False), Said("hello", by_user=True)], MADE, True),
        ([Said("other", by_user=True), Said("hello", by_user=True)], MADE, False),
        ([Said("hello", by_user=True), Said("other", by_user=True)], MADE, True),
        ([Said("hello ", by_user=True)], MADE, False),
    ],
)
def test_a_task_was_already_made_for_this_job(
    history: list[Said], published_at: float | None, expected: bool
) -> None:
    assert already_made_for("hello", task(MADE), history, published_at) is expected


@pytest.mark.parametrize(("first", "expected"), [("hello", True), ("other", False)])
def test_a_task_that_does_not_tell_its_age_is_known_by_its_text(first: str, expected: bool) -> None:
    opaque = Task("task-1", b"{}")
    assert already_made_for("hello", opaque, [Said(first, by_user=True)], 4e9) is expected


def test_a_task_of_aui_is_not_shown_by_repr() -> None:
    assert "welcome" not in repr(Task("t1", b'{"welcome_message":"welcome"}'))
