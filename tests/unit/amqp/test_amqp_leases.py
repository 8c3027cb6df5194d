"""Which leases are made next, where they have their places, and which may be given up."""

from contextlib import suppress

import pytest

from worker.amqp.leases import AT_ONCE, LEASES_PER_QUEUE, Lease, Leases
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio
NEVER, ALWAYS = -1.0, 1.0


@pytest.fixture
async def leases() -> Leases:
    return Leases("aui.lease.w")


def wanted(leases: Leases, *names: str) -> list[Lease]:
    """Have these used, and so wanted."""
    made = [leases.of("default", name) for name in names]
    for lease in made:
        lease.users += 1
        leases.want(lease)
    return made


def made(leases: Leases, *names: str) -> list[Lease]:
    """Make these, and use them no more."""
    ready = wanted(leases, *names)
    while round_trip := leases.next():
        for lease in round_trip:
            lease.settle(bound=True)
    for lease in ready:
        lease.users -= 1
    return ready


async def test_what_is_wanted_is_made_in_order_and_not_too_much_at_once(leases: Leases) -> None:
    all_ = wanted(leases, *(f"t{n}" for n in range(AT_ONCE + 3)))
    assert leases.stir.is_set()
    assert leases.next() == all_[:AT_ONCE]
    assert leases.next() == all_[AT_ONCE:]
    assert leases.next() == []
    assert all(lease.wanted for lease in all_)


async def test_what_is_wanted_by_many_is_made_once(leases: Leases) -> None:
    (lease,) = {*wanted(leases, "t", "t"), *wanted(leases, "t")}
    assert leases.next() == [lease]
    wanted(leases, "t")
    lease.settle(bound=True)
    wanted(leases, "t")
    assert leases.next() == []


async def test_what_nobody_wants_any_more_is_not_made(leases: Leases) -> None:
    lease, other = wanted(leases, "gone", "other")
    lease.users -= 1
    assert leases.next() == [other]
    assert not lease.wanted
    wanted(leases, "gone")
    assert leases.next() == [lease]


async def test_what_would_not_do_with_others_is_made_alone(leases: Leases) -> None:
    one, two, three, four = wanted(leases, "1", "2", "3", "4")
    two.alone = three.alone = True
    assert [leases.next() for _ in range(4)] == [[one], [two], [three], [four]]


async def test_once_made_it_does_with_others_and_what_cannot_be_made_never_does(
    leases: Leases,
) -> None:
    good, bad = wanted(leases, "good", "bad")
    good.alone = bad.alone = True
    good.settle(bound=True)
    bad.settle(bound=False)
    assert (good.alone, bad.alone) == (False, True)


async def test_a_lease_queue_has_64_places_and_is_not_filled_again(leases: Leases) -> None:
    first = made(leases, *(f"t{n}" for n in range(LEASES_PER_QUEUE)))
    (last,) = made(leases, "last")
    queue = first[0].queue
    assert queue is not None
    assert {lease.queue for lease in first} == {queue}
    assert queue.leases == LEASES_PER_QUEUE
    assert last.queue is not None
    assert last.queue.name != queue.name
    with leases.leaving(queue, first[:1]):
        pass
    (another,) = made(leases, "another")
    assert another.queue is last.queue


async def test_an_empty_queue_is_not_filled_again(leases: Leases) -> None:
    (lease,) = made(leases, "t")
    queue = lease.queue
    assert queue is not None
    with leases.leaving(queue, [lease]):
        (other,) = made(leases, "other")
        assert other.queue is not queue
    assert queue.leases == 0


async def test_what_is_used_or_wanted_or_was_used_of_late_is_not_idle(leases: Leases) -> None:
    idle, late, used = made(leases, "idle", "late", "used")
    late.idle_since = 2.0
    used.users += 1
    (again,) = wanted(leases, "again")
    again.users -= 1
    assert leases.idle(since=ALWAYS) == {idle.queue: [idle]}
    assert leases.idle(since=NEVER) == {}


async def test_what_was_never_made_is_forgotten_once_it_is_idle(leases: Leases) -> None:
    (lease,) = wanted(leases, "t")
    lease.users -= 1
    leases.next()
    assert leases.idle(since=ALWAYS) == {}
    assert leases.of("default", "t") is not lease


async def test_what_was_given_up_is_forgotten(leases: Leases) -> None:
    (lease,) = made(leases, "t")
    assert lease.queue is not None
    with leases.leaving(lease.queue, [lease]):
        assert not lease.bound
    assert leases.of("default", "t") is not lease


async def test_what_is_wanted_while_it_is_given_up_is_made_after_that_and_once(
    leases: Leases,
) -> None:
    (lease,) = made(leases, "t")
    assert lease.queue is not None
    with suppress(LinkLost), leases.leaving(lease.queue, [lease]):
        assert wanted(leases, "t", "t") == [lease, lease]
        assert lease.wanted
        assert leases.next() == []
        raise LinkLost("whatever became of it")
    assert leases.next() == [lease]
    assert leases.next() == []


async def test_after_a_loss_what_is_held_is_wanted_again_and_all_else_is_forgotten(
    leases: Leases,
) -> None:
    held, idle = made(leases, "held", "idle")
    held.users += 1
    before = held.queue
    (under_way,) = wanted(leases, "under way")
    assert leases.next() == [under_way]
    leases.forget()
    assert leases.next() == [held]
    assert held.queue is not before
    assert held.wanted
    assert leases.of("default", "idle") is not idle
    assert leases.of("default", "under way") is under_way
