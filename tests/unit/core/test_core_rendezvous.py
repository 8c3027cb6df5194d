"""Every queue has one worker it prefers, and who comes or goes moves only its own queues."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.rendezvous import heeds_priority, priority
from worker.core.topology import partition_queue

QUEUES = [partition_queue("default", number) for number in range(64)]
workers = st.sets(st.text("abcdefghijklmnop-0123456789.", min_size=1), min_size=2, max_size=12)


def owner(fleet: set[str], queue: str) -> str:
    """The worker that gets a queue."""
    return max(fleet, key=lambda worker: priority(worker, queue))


@pytest.mark.parametrize(
    ("worker", "queue", "expected"),
    [
        ("worker-0", "aui.jobs.p00", 800357842),
        ("worker-1", "aui.jobs.p00", 622568382),
        ("worker-0", "aui.jobs.acme.p15", 579499000),
    ],
)
def test_the_priorities_stay_what_they_are(worker: str, queue: str, expected: int) -> None:
    """Two versions of the worker in one fleet must agree: while it is rolled out, it is mixed."""
    assert priority(worker, queue) == expected


@MANY
@given(worker=st.text(), queue=st.sampled_from(QUEUES))
def test_a_priority_fits_the_smallest_integer_that_brokers_read(worker: str, queue: str) -> None:
    assert 0 <= priority(worker, queue) < 2**30


@MANY
@given(fleet=workers)
def test_who_goes_moves_only_what_it_had(fleet: set[str]) -> None:
    gone = min(fleet)
    for queue in QUEUES:
        before, after = owner(fleet, queue), owner(fleet - {gone}, queue)
        assert after == before or before == gone


def test_queues_spread_over_the_fleet() -> None:
    fleet = {f"worker-{number}" for number in range(4)}
    shares = Counter(owner(fleet, queue) for queue in QUEUES)
    assert set(shares) == fleet
    assert max(shares.values()) <= 2 * len(QUEUES) / len(fleet)


def test_the_queues_of_two_networks_prefer_workers_apart() -> None:
    fleet = {f"worker-{number}" for number in range(4)}
    acme = [partition_queue("acme", number) for number in range(64)]
    assert [owner(fleet, queue) for queue in QUEUES] != [owner(fleet, queue) for queue in acme]


@pytest.mark.parametrize(
    ("version", "heeded"),
    [
        ("4.0.5", True),
        ("4.1.0-rc.1", True),
        ("10.0.0", True),
        ("3.13.7", False),
        ("3.10.8", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_which_brokers_heed_it(version: str, heeded: bool) -> None:
    assert heeds_priority(version) is heeded
