"""Which letters are meant."""

import pytest

from tests.unit.dead.letters import NO_JOB, letter
from worker.dead.head import Head, head_of, in_order
from worker.dead.overview import group_as_json, groups
from worker.dead.wanted import NoSuchLetter, Wanted, chosen


@pytest.fixture
def heads() -> list[Head]:
    letters = [
        letter("a", at="2026-01-02T00:00:00.000+00:00"),
        letter("b", at="2026-01-02T00:00:01.000+00:00", network="other", task_id="t-2"),
        letter("a", at="2026-01-02T00:00:02.000+00:00", verdict=NO_JOB),
        letter("c#1", at="2026-01-02T00:00:03.000+00:00"),
    ]
    return in_order(head_of(one, place) for place, one in enumerate(letters))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), ["a#1", "b", "a#2", "c#1"]),
        (Wanted(jobs=["a"]), ["a#1", "a#2"]),
        (Wanted(jobs=["a#2"]), ["a#2"]),
        (Wanted(jobs=["c#1"]), ["c#1"]),
        (Wanted(jobs=["b", "a#1"]), ["a#1", "b"]),
        (Wanted(reasons=["bad_request"]), ["a#1", "b", "c#1"]),
        (Wanted(reasons=["bad_request"], networks=["acme"]), ["a#1", "c#1"]),
        (Wanted(tasks=["t-2"]), ["b"]),
        (Wanted(channels=["sms"], limit=2), ["a#1", "b"]),
        (Wanted(channels=["web"]), []),
        (Wanted(jobs=["a"], reasons=["invalid_job"]), ["a#2"]),
    ],
)
def test_every_part_of_a_choice_counts(heads: list[Head], wanted: Wanted, names: list[str]) -> None:
    assert [head.name for head in chosen(heads, wanted)] == names


@pytest.mark.parametrize("name", ["nobody", "a#3", "a#0", "b#2"])
def test_a_name_that_is_not_there_is_told(heads: list[Head], name: str) -> None:
    with pytest.raises(NoSuchLetter, match=f"no letter of job {name}"):
        chosen(heads, Wanted(jobs=[name]))


def test_nothing_in_particular_is_anything() -> None:
    assert Wanted(limit=3).anything
    assert not Wanted(networks=["acme"]).anything


def test_letters_are_grouped_by_reason_and_network(heads: list[Head]) -> None:
    told = [
        (group.reason, group.network, group.count, group.sample.name) for group in groups(heads)
    ]

    assert told == [
        ("bad_request", "acme", 2, "c#1"),
        ("invalid_job", "acme", 1, "a#2"),
        ("bad_request", "other", 1, "b"),
    ]
    first = group_as_json(groups(heads)[0])
    assert (first["oldest"], first["sample"]["job"]) == ("2026-01-02T00:00:00+00:00", "c#1")
