"""A fleet that grows and shrinks under load: every partition has one worker, and no job notices."""

import asyncio
import json
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest
from broker import Broker
from harness import PATIENCE, TERMINAL, Bench, Inbox, bench, settings

from worker.app import running
from worker.core.rendezvous import heeds_priority, priority
from worker.core.slots import slot_of
from worker.core.topology import partition_queue, unslotted
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PARTITIONS = 8
IDS = ("worker-0", "worker-1", "worker-2")
TASKS = 12
JOB = "!load updates=4 interval=0.02 chunk=10 | message {}"


class Fleet:
    """Workers of one network, by their ids."""

    def __init__(self, at: Bench, amqp_url: str, sandbox: Sandbox, broker: Broker) -> None:
        self.queues = [partition_queue(at.network, number) for number in range(PARTITIONS)]
        self.queues.append(unslotted(at.network))
        self._at = at
        self._amqp_url = amqp_url
        self._sandbox = sandbox
        self._broker = broker
        self._members: dict[str, AsyncExitStack] = {}

    async def join(self, name: str, **more: object) -> None:
        """Start a worker."""
        of_member = {"partitions": PARTITIONS, "id": name, **more}
        configured = settings(self._amqp_url, self._sandbox, self._at.network, **of_member)
        self._members[name] = stack = AsyncExitStack()
        await stack.enter_async_context(running(configured))

    async def leave(self, name: str) -> None:
        """Stop a worker; it finishes what runs."""
        await self._members.pop(name).aclose()

    async def aclose(self) -> None:
        """Stop all."""
        await asyncio.gather(*(self.leave(name) for name in list(self._members)))

    def preferred(self) -> dict[str, str]:
        """Return which member each queue prefers."""
        members = list(self._members)
        return {
            queue: max(members, key=lambda name, queue=queue: priority(name, queue))  # type: ignore[misc]
            for queue in self.queues
        }

    async def owners(self) -> dict[str, str]:
        """Return which member each queue has, as the broker says."""
        said = await asyncio.to_thread(
            self._broker.ctl,
            *("-q", "list_consumers", "queue_name", "active", "arguments", "--formatter", "json"),
        )
        known = {priority(name, queue): name for queue in self.queues for name in IDS}
        return {
            row["queue_name"]: known[dict(_pairs(row["arguments"]))["x-priority"]]
            for row in json.loads(said)
            if row["active"] and row["queue_name"] in self.queues
        }

    async def until_owned(self, owners: dict[str, str]) -> None:
        """Wait until every queue has the worker it should have."""
        found: dict[str, str] = {}
        async with asyncio.timeout(2 * PATIENCE):
            while found != owners:
                found = await self.owners()


def _pairs(arguments: object) -> list[tuple[str, int]]:
    """Read the arguments of a consumer, which older brokers print as triples."""
    if isinstance(arguments, dict):
        return list(arguments.items())
    assert isinstance(arguments, list)
    return [(one[0], one[2]) for one in arguments]


class Load:
    """Conversations that go on until they are told to end."""

    def __init__(self, at: Bench, sandbox: Sandbox) -> None:
        self._at = at
        self._ending = asyncio.Event()
        self.tasks = [sandbox.create_task("user").id for _ in range(TASKS)]
        self.jobs: dict[str, list[str]] = {task: [] for task in self.tasks}

    async def run(self, hub: Inbox) -> None:
        """Say one thing after another to every task, never waiting for more than two answers."""
        await asyncio.gather(*(self._talk(hub, task) for task in self.tasks))

    def end(self) -> None:
        """Say nothing new."""
        self._ending.set()

    async def _talk(self, hub: Inbox, task: str) -> None:
        said = self.jobs[task]
        key = task if self.tasks.index(task) % 3 == 0 else slot_of(task)
        while not self._ending.is_set():
            name = f"{task}-{len(said)}"
            said.append(await self._at.say(task, JOB.format(name), key=key, message_id=name))
            if len(said) > 2:
                await hub.ended(said[-3])
        for job in said:
            await hub.ended(job)


@pytest.fixture
async def at(amqp_url: str) -> AsyncIterator[Bench]:
    """Lend a bench on a network with more partitions than elsewhere."""
    async with bench(amqp_url, partitions=PARTITIONS) as lent:
        yield lent


@pytest.fixture
async def fleet(at: Bench, amqp_url: str, sandbox: Sandbox, broker: Broker) -> AsyncIterator[Fleet]:
    """Lend a fleet without members."""
    lent = Fleet(at, amqp_url, sandbox, broker)
    yield lent
    await lent.aclose()


@asynccontextmanager
async def loaded(at: Bench, sandbox: Sandbox) -> AsyncIterator[Inbox]:
    """Keep conversations going for the length of the context, and check them in the end."""
    load, hub = Load(at, sandbox), await at.hub()
    going = asyncio.create_task(load.run(hub))
    try:
        yield hub
        load.end()
        await going
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
    check(load, hub, sandbox)


def check(load: Load, hub: Inbox, sandbox: Sandbox) -> None:
    """Every job was asked once and answered once, and those of a task one after another."""
    spans = defaultdict(list)
    for place, message in enumerate(hub.messages):
        spans[message.headers["aui-job-id"]].append(place)
    ended = Counter(m.headers["aui-job-id"] for m in hub.messages if m.type in TERMINAL)
    for task, jobs in load.jobs.items():
        asked = [message.text for message in sandbox.store.user_messages(task)]
        assert asked == [JOB.format(job) for job in jobs]
        assert [ended[job] for job in jobs] == [1] * len(jobs)
        assert {m.type for job in jobs for m in hub.terminals(job)} == {"message.completed"}
        for earlier, later in pairwise(jobs):
            assert spans[earlier][-1] < spans[later][0]


@pytest.mark.timeout(300)
async def test_partitions_follow_the_fleet_while_jobs_are_running(
    at: Bench, fleet: Fleet, sandbox: Sandbox, broker: Broker
) -> None:
    """On RabbitMQ 4 each to the worker it prefers; before, they only change hands at the end."""
    moves = heeds_priority(broker.version)
    one, two, three = IDS
    await fleet.join(one)
    async with loaded(at, sandbox) as hub:
        await fleet.until_owned(dict.fromkeys(fleet.queues, one))
        await fleet.join(two)
        alone = dict.fromkeys(fleet.queues, one)
        await fleet.until_owned(fleet.preferred() if moves else alone)
        await fleet.join(three)
        preferred = fleet.preferred() if moves else alone
        await fleet.until_owned(preferred)
        spread = set((await fleet.owners()).values())
        await fleet.leave(two)
        await fleet.until_owned(fleet.preferred() if moves else alone)
        await fleet.leave(one)
        await fleet.until_owned(dict.fromkeys(fleet.queues, three))
        answered = len(hub.messages)
        await hub.until(lambda got: len(got) > answered + 4 * TASKS)

    # The network's name is random: now and then one of three is preferred by no queue of it.
    assert spread == set(preferred.values())
    assert (len(spread) > 1) is moves


@pytest.mark.timeout(120)
async def test_a_pinned_worker_consumes_its_range_and_what_is_everybodys(
    at: Bench, fleet: Fleet, sandbox: Sandbox
) -> None:
    """Two that share the partitions between them answer everything, on any RabbitMQ."""
    one, two, _ = IDS
    await fleet.join(one, partition_range="0-2,7")
    await fleet.join(two, partition_range="3-6")
    *queues, strays = fleet.queues
    pinned = {queue: two if 3 <= number <= 6 else one for number, queue in enumerate(queues)}
    async with loaded(at, sandbox) as hub:
        await hub.until(lambda got: len(got) > 8 * TASKS)
        owners = await fleet.owners()

    assert owners.pop(strays) in (one, two)
    assert owners == pinned


@pytest.mark.parametrize("pinned", [None, "0-7"])
async def test_a_fleet_that_does_not_spread_is_told_of_at_the_start(
    fleet: Fleet, broker: Broker, pinned: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with what can be done about it, unless it has been done."""
    with caplog.at_level(logging.INFO, "worker.app.worker"):
        await fleet.join(IDS[0], partition_range=pinned)

    told = [message for message in caplog.messages if "do not spread over the fleet" in message]
    if heeds_priority(broker.version) or pinned:
        assert told == []
    else:
        (line,) = told
        assert line.startswith(f"RabbitMQ {broker.version}: partitions fail over")
        assert line.endswith("WORKER_PARTITION_RANGE pins them by hand")
