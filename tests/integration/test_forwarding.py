"""Jobs whose routing key is not the slot of their task, on a real RabbitMQ."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from harness import PATIENCE, Bench, settings, working

from worker.core.slots import in_place, partition_of, slot_of
from worker.core.topology import partition_queue
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_the_task_id_will_do_as_routing_key(served: Bench, sandbox: Sandbox) -> None:
    """Jobs keyed by task id are answered in the order in which they were published."""
    tasks = [sandbox.create_task("user") for _ in range(5)]
    hub = await served.hub()

    jobs = [
        await served.say(task.id, f"message {n}", key=task.id) for n in range(6) for task in tasks
    ]
    await asyncio.gather(*(hub.ended(job) for job in jobs))

    for task in tasks:
        said = [message.text for message in sandbox.store.user_messages(task.id)]
        assert said == [f"message {n}" for n in range(6)]


async def test_a_wrong_slot_is_put_right(served: Bench, sandbox: Sandbox) -> None:
    """A job in another task's partition is moved, answered once, and keeps its attempts."""
    task = sandbox.create_task("user")
    wrong = next(slot for slot in ("00", "ff") if not in_place(task.id, slot, 2))
    hub = await served.hub()

    jobs = [await served.say(task.id, f"message {n}", key=wrong) for n in range(5)]
    finals = [await hub.ended(job) for job in jobs]

    assert [m.text for m in sandbox.store.user_messages(task.id)] == [
        f"message {n}" for n in range(5)
    ]
    assert [final.headers["aui-attempt"] for final in finals] == [1] * 5


async def test_forwarding_goes_on_while_a_task_is_busy(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """A long turn holds up no job of another task that only has to be moved."""
    busy, other = sandbox.create_task("busy"), sandbox.create_task("other")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        first = await at.say(busy.id, "!stall seconds=6 | a microwave", key=busy.id)
        queued = [await at.say(busy.id, "!final-only", key=busy.id) for _ in range(80)]
        quick = await at.say(other.id, "!final-only", key=other.id)
        await hub.ended(quick)
        assert not hub.terminals(first)
        await asyncio.gather(*(hub.ended(job) for job in (first, *queued)))


async def test_two_jobs_of_one_id_are_both_moved(served: Bench, sandbox: Sandbox) -> None:
    """Copies keep the id of their job; two of one id never get in each other's way."""
    tasks = [sandbox.create_task("user") for _ in range(8)]
    hub = await served.hub()

    await asyncio.gather(
        *(served.say(task.id, "hi", key=task.id, message_id="same") for task in tasks)
    )
    await hub.until(lambda _: len(hub.terminals("same")) == len(tasks))

    assert {m.headers["aui-task-id"] for m in hub.terminals("same")} == {t.id for t in tasks}


TASKS, MESSAGES = 30, 6
FLEET = ("worker-0", "worker-1", "worker-2")


@pytest.mark.timeout(120)
async def test_a_fleet_keeps_the_order_whichever_key_a_producer_uses(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Some producers name the task, some its slot, and some a user; all of it at once."""
    tasks = [sandbox.create_task("user") for _ in range(TASKS)]
    users = [f"user {n}" for n in range(5)]
    async with AsyncExitStack() as stack:
        for name in FLEET:
            configured = settings(amqp_url, sandbox, at.network, id=name)
            await stack.enter_async_context(working(configured))
        hub = await at.hub()
        jobs = []
        for n in range(MESSAGES):
            text = f"!final-only | message {n}"
            for number, task in enumerate(tasks):
                key = task.id if number % 2 else None
                jobs.append(await at.say(task.id, text, key=key))
            for number, user in enumerate(users):
                key = user if number % 2 else None
                jobs.append(await at.publish({"user_id": user, "text": text}, key=key))
        await asyncio.gather(*(hub.ended(job) for job in jobs))

    expected = [f"!final-only | message {n}" for n in range(MESSAGES)]
    of_users = [task.id for user in users for task in sandbox.store.tasks_of(user)]
    assert len(of_users) == len(users)
    for task_id in [*(task.id for task in tasks), *of_users]:
        assert [m.text for m in sandbox.store.user_messages(task_id)] == expected


@pytest.fixture
async def stray(at: Bench, amqp_url: str, sandbox: Sandbox) -> Bench:
    """Lend a bench whose topology stands, without a worker."""
    async with working(settings(amqp_url, sandbox, at.network)):
        pass
    return at


@pytest.mark.parametrize("bound", [True, False], ids=["to another queue", "to none"])
async def test_a_job_that_came_while_its_slot_was_bound_elsewhere_is_moved(
    stray: Bench, amqp_url: str, sandbox: Sandbox, bound: bool
) -> None:
    """Only the worker that has the partition works on its tasks: here there is none yet."""
    task = sandbox.create_task("user")
    slot = slot_of(task.id)
    own = partition_of(slot, 2)
    right, wrong = (partition_queue(stray.network, n) for n in (own, 1 - own))
    await bind(stray, wrong if bound else None, slot, instead_of=right)
    first = await stray.say(task.id, "message 0")
    await bind(stray, right, slot, instead_of=wrong)

    other = settings(amqp_url, sandbox, stray.network, partition_range=str(1 - own))
    async with working(other):
        queue = await stray.channel.declare_queue(right, passive=True)
        async with asyncio.timeout(PATIENCE):
            while not queue.declaration_result.message_count:
                queue = await stray.channel.declare_queue(right, passive=True)
        assert not sandbox.store.user_messages(task.id)
    hub = await stray.hub()
    async with working(settings(amqp_url, sandbox, stray.network)):
        final = await hub.ended(first)

    assert final.headers["aui-attempt"] == 1
    assert len(sandbox.store.user_messages(task.id)) == 1


@pytest.mark.parametrize("bound", [True, False], ids=["to another queue", "to none"])
async def test_a_slot_that_stays_bound_elsewhere_is_answered_all_the_same(
    stray: Bench, amqp_url: str, sandbox: Sandbox, bound: bool
) -> None:
    """Its jobs are moved once, not for ever; where nobody may bind, nobody can mend it."""
    task = sandbox.create_task("user")
    slot = slot_of(task.id)
    own = partition_of(slot, 2)
    right, wrong = (partition_queue(stray.network, n) for n in (own, 1 - own))
    await bind(stray, wrong if bound else None, slot, instead_of=right)

    hub = await stray.hub()
    async with working(settings(amqp_url, sandbox, stray.network, topology="verify")):
        jobs = [await stray.say(task.id, f"message {n}") for n in range(4)]
        for job in jobs:
            await hub.ended(job)

    asked = [message.text for message in sandbox.store.user_messages(task.id)]
    assert asked == [f"message {n}" for n in range(4)]


async def bind(at: Bench, queue: str | None, slot: str, *, instead_of: str) -> None:
    """Bind a slot to a queue, or to none, instead of to another."""
    exchange = await at.jobs()
    await (await at.channel.get_queue(instead_of, ensure=False)).unbind(exchange, slot)
    if queue is not None:
        await (await at.channel.get_queue(queue, ensure=False)).bind(exchange, slot)
