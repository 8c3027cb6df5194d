"""When the number of partitions may be changed, and what changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, words
from worker.core.repartition import (
    NetworkStanding,
    Plan,
    Standing,
    connected,
    misplaced,
    occupied,
    plan_of,
    read,
    written,
)
from worker.core.topology import partition_queue, slot_bindings

PARTITIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


def network(name: str, *numbers: int) -> NetworkStanding:
    """A network of which these partitions stand, empty and without a worker."""
    partitions = {n: Standing(partition_queue(name, n), 0, consumed=False) for n in numbers}
    return NetworkStanding(name, partitions, Standing(f"{name}.unslotted", 0, consumed=False))


@pytest.mark.parametrize(
    ("numbers", "number"),
    [
        ([0], 1),
        ([0, 1], 2),
        (range(16), 16),
        (range(256), 256),
        ([], None),
        ([1], None),
        ([0, 2], None),
        ([0, 1, 2], None),
        ([0, 1, 2, 4], None),
    ],
)
def test_the_number_is_that_of_a_whole_set(numbers: list[int], number: int | None) -> None:
    assert network("acme", *numbers).number == number


def test_what_has_another_number_is_changed() -> None:
    networks = [network("a", 0, 1), network("b", 0), network("c", 0, 1, 2, 3), network("new")]
    assert plan_of(networks, 2) == Plan(2, {"b": 1, "c": 4})


def test_what_is_no_whole_set_is_changed_by_nobody() -> None:
    with pytest.raises(ValueError, match="network b: 3 partitions"):
        plan_of([network("a", 0), network("b", 0, 1, 2)], 2)


def test_a_network_has_its_partitions_and_its_unslotted() -> None:
    names = [queue.name for queue in network("acme", 0, 1).queues]
    assert names == ["aui.jobs.acme.p00", "aui.jobs.acme.p01", "acme.unslotted"]
    assert not NetworkStanding("acme", {}, None).queues


def test_who_is_in_the_way_is_named_with_what_it_has() -> None:
    queues = [
        Standing("empty", 0, consumed=False),
        Standing("full", 3, consumed=False),
        Standing("taken", 0, consumed=True),
        Standing("both", 12, consumed=True),
    ]
    assert (connected(queues) or "").endswith("they consume taken, both")
    assert (occupied(queues) or "").endswith(": full (3), both (12)")


def test_nobody_in_the_way_is_no_reason() -> None:
    queues = [Standing("empty", 0, consumed=False)]
    assert connected(queues) is None
    assert occupied(queues) is None


def test_a_long_list_is_cut() -> None:
    queues = [Standing(f"q{number}", 1, consumed=True) for number in range(10)]
    assert (occupied(queues) or "").endswith("q7 (1) and 2 more")


@pytest.mark.parametrize("before", PARTITIONS)
@pytest.mark.parametrize("to", PARTITIONS)
def test_only_what_is_bound_elsewhere_afterwards_is_misplaced(before: int, to: int) -> None:
    old, new = set(slot_bindings("acme", before)), set(slot_bindings("acme", to))
    wrong = misplaced("acme", before, to)
    assert set(wrong) == old - new
    assert len(wrong) == len(set(wrong))


@SOME
@given(
    to=st.sampled_from(PARTITIONS),
    before=st.dictionaries(words, st.sampled_from(PARTITIONS)),
    decided=st.booleans(),
)
def test_a_plan_that_is_kept_can_be_read(to: int, before: dict[str, int], decided: bool) -> None:
    plan = Plan(to, before, decided)
    assert read(written(plan)) == plan
