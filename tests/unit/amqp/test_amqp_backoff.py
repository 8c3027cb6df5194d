"""Pauses between tries."""

from itertools import pairwise

from worker.amqp.backoff import FIRST, LONGEST, Backoff


def test_pauses_grow_within_bounds_and_start_over() -> None:
    backoff = Backoff()
    pauses = [backoff.next() for _ in range(12)]
    backoff.reset()

    assert all(FIRST / 2 <= pause <= LONGEST for pause in pauses)
    assert min(pauses[-3:]) >= LONGEST / 2
    assert all(later > earlier / 2 for earlier, later in pairwise(pauses))
    assert backoff.next() <= FIRST
