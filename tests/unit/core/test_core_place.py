"""What lies in the wrong queue is moved on, once; everything else is worked off where it lies."""

import pytest

from worker.core.envelope import Envelope, Properties
from worker.core.headers import ATTEMPT_BASE
from worker.core.place import Place


def job(routing_key: str, **headers: object) -> Envelope:
    """A job that was published with a key."""
    return Envelope("acme", b"{}", routing_key, Properties(headers=headers))


@pytest.mark.parametrize(
    ("partition", "routing_key", "held"),
    [
        (0, "00", True),
        (0, "3f", True),
        (0, "40", False),
        (1, "40", True),
        (3, "ff", True),
        (2, "ff", False),
        (None, "00", False),
        (None, "ff", False),
    ],
)
def test_a_slot_lies_in_its_partition_and_nowhere_else(
    partition: int | None, routing_key: str, held: bool
) -> None:
    assert Place(partition, 4).holds(job(routing_key)) is held


@pytest.mark.parametrize("routing_key", ["", "68e78d0dc5a4b19a030d03d6", "FF", "100"])
@pytest.mark.parametrize("partition", [None, 0])
def test_a_key_that_is_no_slot_says_for_itself_that_it_is_to_be_moved(
    partition: int | None, routing_key: str
) -> None:
    assert Place(partition, 4).holds(job(routing_key))


@pytest.mark.parametrize("partition", [None, 0, 1])
def test_what_was_moved_on_before_is_not_moved_again(partition: int | None) -> None:
    """A slot that is bound to the wrong queue would have it go round for ever."""
    assert Place(partition, 4).holds(job("ff", **{ATTEMPT_BASE: 0}))
