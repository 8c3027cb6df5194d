"""Jobs whose routing key is not the slot of their task, on a real RabbitMQ."""

import asyncio

import pytest
from harness import Bench

from worker.core.slots import in_place
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


async def test_forwarding_goes_on_while_a_task_is_busy(served: Bench, sandbox: Sandbox) -> None:
    """A long turn holds up no job of another task that only has to be moved."""
    busy, other = sandbox.create_task("busy"), sandbox.create_task("other")
    hub = await served.hub()

    first = await served.say(busy.id, "!stall seconds=0.9 | a microwave", key=busy.id)
    queued = [await served.say(busy.id, "next", key=busy.id) for _ in range(80)]
    quick = await served.say(other.id, "a microwave", key=other.id)
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
