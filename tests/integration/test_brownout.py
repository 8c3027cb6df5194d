"""An outage of AUI: its jobs wait in their queues, nobody is asked twice, other networks go on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from harness import CANARY, PARTITIONS, Bench, bench, settings, working

from worker.app import Worker
from worker.aui.network import Network
from worker.core.topology import partition_queue
from worker.sandbox import Sandbox
from worker.settings import Settings, WorkerSettings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

QUICK: dict[str, Any] = {"probe_interval": 0.5, "brownout_after": 5, "concurrency": 16}


async def waiting(at: Bench, more_than: int) -> bool:
    """Tell whether so many jobs wait in the network's partitions, handed to nobody."""
    channel = await at.connection.channel()
    queues = [partition_queue(at.network, number) for number in range(PARTITIONS)]
    looked = [await channel.declare_queue(name, passive=True) for name in queues]
    await channel.close()
    return sum(queue.declaration_result.message_count or 0 for queue in looked) > more_than


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true that tells nobody: the worker's state, or the broker's."""
    async with asyncio.timeout(60):
        while True:
            said = true()
            if await said if isinstance(said, Awaitable) else said:
                return
            await asyncio.sleep(0.05)


def brown(worker: Worker) -> bool:
    """Tell whether the worker says that a network is out."""
    return any("browned out" in reason for reason in worker.not_ready())


async def test_an_outage_dead_letters_nothing_and_asks_nothing_twice(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """AUI goes away under load and comes back; then everything is answered, once, in order."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(20)]
    async with working(settings(amqp_url, sandbox, at.network, **QUICK)) as worker:
        hub, dead = await at.hub(), await at.dead()
        first = [await at.say(task.id, "!load updates=20 interval=0.05") for task in tasks]
        await hub.until(lambda _: len(hub.by_job) >= 10)
        await sandbox.stop()
        later = [await at.say(task.id, f"message {n}") for task in tasks for n in range(3)]
        await until(lambda: brown(worker))
        await until(lambda: waiting(at, more_than=len(later)))
        await sandbox.start()
        for job in [*first, *later]:
            assert (await hub.ended(job, patience=60)).type == "message.completed"
        await until(lambda: not worker.not_ready())

    assert not dead.messages
    for task in tasks:
        texts = [said.text for said in sandbox.store.user_messages(task.id)]
        assert texts[-3:] == [f"message {n}" for n in range(3)]
        answered = [m for m in sandbox.store.tasks[task.id].messages if m.sender == "agent"]
        # Asked again only where AUI was stopped before it had answered.
        assert len(answered) == 4


async def test_the_agent_is_down_while_all_else_works(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """REST and upgrades work, every answer ends in 1011: jobs are held, not counted, not lost."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(8)]
    sandbox.fault(answer={"code": 1011})
    async with working(settings(amqp_url, sandbox, at.network, attempts=3, **QUICK)) as worker:
        hub, dead = await at.hub(), await at.dead()
        jobs = [await at.say(task.id, f"message {n}") for task in tasks for n in range(3)]
        await until(lambda: brown(worker))
        probed = sandbox.state()["user_messages"]
        # The canary asks again and again, and is not given up.
        await until(lambda: sandbox.state()["user_messages"] >= probed + 4)
        sandbox.clear_faults()
        for job in jobs:
            assert (await hub.ended(job, patience=60)).type == "message.completed"

    assert not dead.messages
    ends = [m for m in hub.messages if m.type == "message.completed"]
    for number, task in enumerate(tasks):
        order = [m.headers["aui-job-id"] for m in ends if m.headers["aui-task-id"] == task.id]
        assert order == jobs[3 * number : 3 * number + 3]


async def test_a_bad_key_costs_three_jobs_and_the_rest_waits(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Those that met a 401 are dead-lettered as ever; the others are answered with a good key."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(30)]
    sandbox.api_keys.discard(CANARY)
    try:
        async with working(settings(amqp_url, sandbox, at.network, **QUICK | {"concurrency": 1})):
            hub, dead = await at.hub(), await at.dead()
            jobs = [await at.say(task.id, "a microwave") for task in tasks]
            await dead.until(lambda letters: len(letters) == 3)
            await until(lambda: waiting(at, more_than=len(jobs) - 4))
            sandbox.api_keys.add(CANARY)
            ends = [await hub.ended(job, patience=60) for job in jobs]
    finally:
        sandbox.api_keys.add(CANARY)

    assert sum(end.type == "message.failed" for end in ends) == len(dead.messages) == 3


async def test_other_networks_do_not_notice(amqp_url: str, sandbox: Sandbox) -> None:
    """One network hangs until it is browned out; the other one is answered meanwhile."""
    async with (
        bench(amqp_url) as good,
        bench(amqp_url) as bad,
        Sandbox(api_key=CANARY, word_delay=0.0) as hanging,
    ):
        hanging.fault(connect={"delay": 600.0})
        both = Settings(
            amqp_url,
            {
                good.network: Network(good.network, CANARY, sandbox.base_url),
                bad.network: Network(bad.network, CANARY, hanging.base_url),
            },
            WorkerSettings(partitions=PARTITIONS, grace=1.0, connect_timeout=1.0, **QUICK),
        )
        async with working(both) as worker:
            hub = await good.hub()
            for n in range(40):
                await bad.say(hanging.create_task(f"user-{n}").id, "hello")
            jobs: list[str] = []
            while not brown(worker) or len(jobs) < 20:
                task = sandbox.create_task("user")
                jobs.append(await good.say(task.id, "a microwave"))
                await hub.ended(jobs[-1])

    assert all(hub.terminals(job)[0].type == "message.completed" for job in jobs)


async def test_a_429_pauses_the_network_for_as_long_as_aui_asks(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """More 429 than a job has attempts: they are the network's, and nothing is dead-lettered."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(6)]
    sandbox.fault(upgrade={"status": 429, "retry_after": 0.2, "times": 25})
    async with working(settings(amqp_url, sandbox, at.network, attempts=2, concurrency=4)):
        hub, dead = await at.hub(), await at.dead()
        jobs = [await at.say(task.id, "a microwave") for task in tasks]
        for job in jobs:
            assert (await hub.ended(job, patience=90)).type == "message.completed"

    assert not dead.messages
