"""What the worker makes, verifies and refuses on a real RabbitMQ."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from harness import Bench, settings, working

from worker.core.errors import ConfigurationError
from worker.core.topology import topology
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_everything_of_the_table_stands_after_the_start(served: Bench, amqp_url: str) -> None:
    """Each exchange and queue of the topology can be found."""
    objects = topology([served.network], 2)

    for exchange in objects.exchanges:
        await served.channel.get_exchange(exchange.name, ensure=True)
    consumers = {}
    for queue in objects.queues:
        found = await served.channel.declare_queue(queue.name, passive=True)
        consumers[queue.name] = found.declaration_result.consumer_count
    assert {name for name, count in consumers.items() if count == 0} == {
        "aui.dead",
        "aui.unclaimed",
    }


@pytest.mark.parametrize(("partitions", "told"), [(1, "more"), (4, "fewer")])
async def test_another_number_of_partitions_stops_the_start(
    at: Bench, amqp_url: str, sandbox: Sandbox, partitions: int, told: str
) -> None:
    """A changed WORKER_PARTITIONS would run moved jobs twice: nothing is declared."""
    async with working(settings(amqp_url, sandbox, at.network)):
        pass

    with pytest.raises(ConfigurationError, match=f"WORKER_PARTITIONS.*{told}"):
        async with working(settings(amqp_url, sandbox, at.network, partitions=partitions)):
            pass


async def test_verify_declares_nothing_and_names_what_is_missing(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """With least privilege the worker only looks."""
    with pytest.raises(ConfigurationError, match=f"lacks .*aui.jobs.{at.network}.p01"):
        async with working(settings(amqp_url, sandbox, at.network, topology="verify")):
            pass


async def test_verify_is_content_with_what_declare_made(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The two modes agree, and a verifying worker answers jobs."""
    async with working(settings(amqp_url, sandbox, at.network)):
        pass
    async with working(settings(amqp_url, sandbox, at.network, topology="verify")):
        hub = await at.hub()
        final = await hub.ended(await at.say(sandbox.create_task("user").id, "a microwave"))

    assert final.type == "message.completed"


async def test_a_worker_with_a_range_declares_everything_all_the_same(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The partitions of the others must be there before them; nobody consumes them yet."""
    async with working(settings(amqp_url, sandbox, at.network, partition_range="1")):
        consumers = {}
        for queue in topology([at.network], 2).queues:
            found = await at.channel.declare_queue(queue.name, passive=True)
            consumers[queue.name] = found.declaration_result.consumer_count

    assert {name for name, count in consumers.items() if count == 0} == {
        f"aui.jobs.{at.network}.p00",
        "aui.dead",
        "aui.unclaimed",
    }


async def test_a_queue_declared_otherwise_stops_the_start(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The error names the queue and the setting."""
    await at.channel.declare_queue(f"aui.jobs.{at.network}.p00", durable=True)
    await at.channel.declare_queue(f"aui.jobs.{at.network}.p01", durable=True)

    with pytest.raises(ConfigurationError, match=rf"WORKER_TOPOLOGY: aui.jobs.{at.network}.p0"):
        async with working(settings(amqp_url, sandbox, at.network)):
            pass


async def test_several_networks_have_partitions_and_keys_of_their_own(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """A job is answered under the key of the network whose exchange it came by."""
    second = Bench(at.connection, at.channel, f"{at.network}b")
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network, second.network)):
        hubs = [await bench.hub() for bench in (at, second)]
        finals = [
            await hub.ended(await bench.say(task.id, "a microwave"))
            for bench, hub in zip((at, second), hubs, strict=True)
        ]

    assert [str(final.routing_key).split(".")[0] for final in finals] == [
        at.network,
        second.network,
    ]


async def test_a_fleet_may_start_all_at_once(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """Nobody takes another's half-made topology for one with fewer partitions."""
    configured = settings(amqp_url, sandbox, at.network)
    async with AsyncExitStack() as stack:
        fleet = [stack.enter_async_context(working(configured)) for _ in range(5)]
        workers = await asyncio.gather(*fleet)

        assert all(worker.started.is_set() for worker in workers)
