"""How long the exchange of a task lives, on a real RabbitMQ."""

import asyncio

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from harness import Bench, settings, working

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_it_outlives_its_jobs_and_dies_with_its_worker(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """While the worker lives the exchange stays; without worker and subscriber it is gone."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        await hub.ended(await at.say(task.id, "a microwave"))
        assert await stands(amqp_url, task.id)

    await gone(amqp_url, task.id)


async def test_a_subscriber_keeps_it_when_the_worker_dies(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The next worker publishes into the same exchange, and the subscriber hears it."""
    task = sandbox.create_task("user")
    configured = settings(amqp_url, sandbox, at.network)
    async with working(configured):
        hub = await at.hub()
        await hub.ended(await at.say(task.id, "a microwave"))
        watched = await at.listen(f"aui.task.{task.id}", "#")
    async with working(configured):
        job = await at.say(task.id, "and the cheapest?")
        final = await watched.ended(job)

    assert final.type == "message.completed"


async def test_an_idle_task_gives_its_exchange_up(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """After WORKER_TASK_IDLE without a job the lease is given up, and made again for the next."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network, task_idle=0.4)):
        hub = await at.hub()
        await hub.ended(await at.say(task.id, "a microwave"))
        await gone(amqp_url, task.id)
        await hub.ended(await at.say(task.id, "and again"))
        assert await stands(amqp_url, task.id)


async def test_one_deleted_underneath_disturbs_nobody(served: Bench, sandbox: Sandbox) -> None:
    """The hub goes on without it."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    await hub.ended(await served.say(task.id, "a microwave"))

    await served.channel.exchange_delete(f"aui.task.{task.id}")
    final = await hub.ended(await served.say(task.id, "and again"))

    assert final.type == "message.completed"


async def test_one_declared_otherwise_disturbs_nobody(served: Bench, sandbox: Sandbox) -> None:
    """A durable exchange in its place cannot be leased; the hub has the answer, others too."""
    task, other = sandbox.create_task("user"), sandbox.create_task("other")
    hub = await served.hub()
    await served.channel.declare_exchange(f"aui.task.{task.id}", "topic", durable=True)

    finals = await asyncio.gather(
        *[hub.ended(await served.say(one.id, "a microwave")) for one in (task, other)]
    )

    assert {final.type for final in finals} == {"message.completed"}
    await served.channel.exchange_delete(f"aui.task.{task.id}")


async def test_hundreds_of_tasks_share_lease_queues_of_64(
    served: Bench, sandbox: Sandbox, amqp_url: str
) -> None:
    """Two hundred tasks at once all get their exchange."""
    tasks = [sandbox.create_task("user") for _ in range(200)]
    hub = await served.hub(f"{served.network}.*.*.final")

    jobs = [await served.say(task.id, "!final-only") for task in tasks]
    for job in jobs:
        await hub.ended(job)

    assert all([await stands(amqp_url, task.id) for task in tasks[::20]])


async def stands(amqp_url: str, task_id: str) -> bool:
    """Tell whether the exchange of a task is there."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        try:
            await channel.get_exchange(f"aui.task.{task_id}", ensure=True)
        except ChannelNotFoundEntity:
            return False
        return True


async def gone(amqp_url: str, task_id: str) -> None:
    """Wait until the exchange of a task is gone."""
    async with asyncio.timeout(20):
        while await stands(amqp_url, task_id):  # noqa: ASYNC110  the broker tells nobody
            await asyncio.sleep(0.1)
