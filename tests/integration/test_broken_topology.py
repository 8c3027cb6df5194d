"""Cuts, and holes in the topology, while jobs stream: a worker mends what it declared."""

import asyncio
from itertools import groupby

import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from fault_proxy import FaultProxy
from harness import Bench, Inbox, settings, working

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

STREAM = "!load updates=20 interval=0.04 chunk=10"


@pytest.mark.timeout(120)
async def test_cuts_in_mid_stream_lose_no_job_and_no_order(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Updates may be missing after a cut, but none comes behind a later one of its attempt."""
    tasks = [sandbox.create_task("user") for _ in range(30)]
    async with (
        FaultProxy(amqp_url) as proxy,
        working(settings(proxy.url, sandbox, at.network)),
    ):
        hub, jobs = await at.hub(), []
        for _ in range(3):
            # New ones each time: a slow machine may have done with the others while it was cut off.
            jobs += [await at.say(task.id, STREAM) for task in tasks]
            await more(hub, 40)
            proxy.cut()
            await proxy.reached()
            proxy.cut()
        ends = [await hub.ended(job) for job in jobs]
        fresh = [await hub.ended(await at.say(task.id, "!final-only")) for task in tasks]

    assert {end.type for end in ends + fresh} == {"message.completed"}
    for job in jobs:
        check_order(hub, job)


async def test_a_deleted_hub_is_made_again(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """Jobs that stream meanwhile end, and what is asked afterwards is answered as ever."""
    tasks = [sandbox.create_task("user") for _ in range(10)]
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        for task in tasks:
            await at.say(task.id, STREAM)
        await more(hub, 40)
        await at.channel.exchange_delete("aui.replies")
        again = await hub_again(at)
        jobs = [await at.say(task.id, "!final-only") for task in tasks]
        finals = [await again.ended(job) for job in jobs]

    assert {final.type for final in finals} == {"message.completed"}


@pytest.mark.parametrize("deleted", [["p00", "p01"], ["p00"], ["p01"], ["unslotted"]], ids=str)
async def test_a_deleted_partition_is_made_again(
    at: Bench, amqp_url: str, sandbox: Sandbox, deleted: list[str]
) -> None:
    """Its jobs are gone with it; those that come afterwards are answered."""
    tasks = [sandbox.create_task("user") for _ in range(10)]
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        names = [f"aui.jobs.{at.network}.{partition}" for partition in deleted]
        for name in names:
            await at.channel.queue_delete(name)
        for name in names:
            await stands_again(at, name)
        jobs = [await at.say(task.id, "!final-only") for task in tasks]
        finals = [await hub.ended(job) for job in jobs]

    assert {final.type for final in finals} == {"message.completed"}


@pytest.mark.unheard
async def test_a_deleted_queue_of_dead_letters_is_made_again(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """A job that is to be kept waits until it can be kept, and only then is told failed."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        await at.channel.queue_delete("aui.dead")
        failed = await hub.ended(await at.say(task.id, "!400"))

    kept = await at.channel.declare_queue("aui.dead", passive=True)
    assert failed.type == "message.failed"
    assert kept.declaration_result.message_count == 1


async def more(hub: Inbox, count: int) -> None:
    """Wait for so many more messages."""
    enough = len(hub.messages) + count
    await hub.until(lambda messages: len(messages) >= enough)


async def hub_again(at: Bench) -> Inbox:
    """Listen to the hub, as soon as there is one."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await (await at.another()).hub()
            except Exception:
                await asyncio.sleep(0.1)


async def stands_again(at: Bench, queue: str) -> None:
    """Wait until a queue is there."""
    async with asyncio.timeout(30):
        while True:
            try:
                channel = (await at.another()).channel
                await channel.declare_queue(queue, passive=True)
            except ChannelNotFoundEntity:
                await asyncio.sleep(0.1)
            else:
                return


def check_order(hub: Inbox, job: str) -> None:
    """Check that the updates of each attempt of a job came in order."""
    updates = [m for m in hub.of(job) if m.type == "message.updated"]
    for _, attempt in groupby(updates, key=lambda m: m.headers["aui-attempt"]):
        seqs = [m.headers["aui-seq"] for m in attempt]
        assert seqs == sorted(seqs)
