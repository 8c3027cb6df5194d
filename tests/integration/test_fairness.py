"""One task that floods its partition: whom it holds up, and for how long."""

import asyncio

import pytest
from harness import TERMINAL, Bench, settings, working

from worker.core.slots import partition_of, slot_of
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

FLOOD, PREFETCH = 300, 16
SLOW = "!load updates=1 interval=0.02 chunk=5 | {}"


def task_of(sandbox: Sandbox, partition: int) -> str:
    """Create a task of that partition."""
    tasks = (sandbox.create_task("user").id for _ in range(1000))
    return next(task for task in tasks if partition_of(slot_of(task), 2) == partition)


@pytest.mark.timeout(120)
async def test_a_flood_of_one_task_holds_up_its_partition_until_it_fits_the_prefetch(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The other partitions never wait, and within it nobody waits for all of the flood."""
    flooding, beside, elsewhere = (task_of(sandbox, number) for number in (0, 0, 1))
    async with working(settings(amqp_url, sandbox, at.network, prefetch=PREFETCH)):
        hub = await at.hub()
        flood = [await at.say(flooding, SLOW.format(number)) for number in range(FLOOD)]
        held = await at.say(beside, "!final-only")
        free = [await at.say(elsewhere, "!final-only") for _ in range(PREFETCH)]
        await asyncio.gather(*(hub.ended(job) for job in [*flood, held, *free]))

    ends = [m.headers["aui-job-id"] for m in hub.messages if m.type in TERMINAL]
    place = {job: ends.index(job) for job in [*flood, held, *free]}
    before = sum(place[job] < place[held] for job in flood)
    assert FLOOD - PREFETCH < before < FLOOD
    assert max(place[job] for job in free) < place[held]
    assert [job for job in ends if job in set(flood)] == flood


async def test_a_task_with_a_few_jobs_holds_up_nobody(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """As many as the prefetch is larger than: the others of its partition go past them."""
    slow, beside = (task_of(sandbox, 0) for _ in range(2))
    async with working(settings(amqp_url, sandbox, at.network, prefetch=PREFETCH)):
        hub = await at.hub()
        first = await at.say(slow, "!stall seconds=6 | hello")
        queued = [await at.say(slow, "!final-only") for _ in range(PREFETCH - 2)]
        quick = [await at.say(beside, "!final-only") for _ in range(2 * PREFETCH)]
        await asyncio.gather(*(hub.ended(job) for job in quick))
        assert not hub.terminals(first)
        await asyncio.gather(*(hub.ended(job) for job in (first, *queued)))
