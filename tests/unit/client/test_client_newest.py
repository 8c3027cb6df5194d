"""What is news: the highest (attempt, seq), and the first end, but an answer after a failure."""

import pytest

from tests.unit.client.told import failed, final, retrying, update
from worker.client.newest import REMEMBERED, Newest
from worker.client.replies import Reply


@pytest.mark.parametrize(
    ("came", "news"),
    [
        ([update(1, 1), update(1, 2), final(1, 3)], [True, True, True]),
        ([update(1, 2), update(1, 1), update(1, 2)], [True, False, False]),
        ([update(1, 7), retrying(1, 8), update(2, 1), update(1, 9)], [True, True, True, False]),
        ([final(1, 3), update(65, 1), retrying(65, 2)], [True, False, False]),
        ([final(1, 3), final(65, 1)], [True, False]),
        ([failed(1, 3), failed(65, 1)], [True, False]),
        ([failed(1, 3), update(65, 1), final(65, 2), failed(66, 1)], [True, False, True, False]),
    ],
)
def test_late_repeated_and_superseded_replies_are_no_news(
    came: list[Reply], news: list[bool]
) -> None:
    newest = Newest()
    assert [newest.note(reply) for reply in came] == news


def test_jobs_do_not_touch_each_other() -> None:
    newest = Newest()
    newest.note(final(9, 9, job="one"))
    assert newest.note(update(1, 1, job="two"))


def test_asking_is_not_noting() -> None:
    newest = Newest()
    assert newest.is_news(final(1, 1))
    assert newest.is_news(final(1, 1))


def test_it_remembers_so_many_jobs_and_forgets_those_it_heard_of_longest_ago() -> None:
    newest = Newest()
    for number in range(REMEMBERED + 1):
        newest.note(final(1, 1, job=str(number)))
    assert newest.is_news(update(1, 1, job="0"))
    assert not newest.is_news(update(1, 1, job="1"))
