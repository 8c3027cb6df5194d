"""What the flow may expect of whoever keeps the exchange of each task."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.conformance.script import PATIENCE
from tests.conformance.watching import Broker, Inbox, broker_at, running, stands, unique
from tests.fakes import FakeTaskExchanges
from tests.unit.relay.flow import let_run
from worker.amqp.choice import Choice, Mode
from worker.amqp.publisher import ReplyPublisher
from worker.amqp.task_exchanges import LeasedTaskExchanges
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.topology import task_exchange
from worker.relay.ports import TaskExchanges

pytestmark = pytest.mark.anyio


class World(Protocol):
    """Task exchanges without a link, until they are given one."""

    exchanges: TaskExchanges

    async def connect(self) -> None:
        """Let the link come up."""

    async def standing(self, task_id: str) -> bool:
        """Tell whether the exchange of a task stands."""

    async def lose_link(self) -> None:
        """Lose the link with all that hangs on it."""

    async def link_back(self) -> None:
        """Get the link back."""


class FakeWorld:
    """The fake exchanges."""

    def __init__(self) -> None:
        self.fake = FakeTaskExchanges()
        self.fake.gate.shut()
        self.exchanges: TaskExchanges = self.fake

    async def connect(self) -> None:
        self.fake.gate.open()

    async def standing(self, task_id: str) -> bool:
        return ("default", task_id) in self.fake.standing

    async def lose_link(self) -> None:
        self.fake.lose_link()

    async def link_back(self) -> None:
        self.fake.link_back()


class RealWorld:
    """The real exchanges on the real broker."""

    def __init__(self, broker: Broker, mode: Mode = "plain") -> None:
        self.broker = broker
        worker_id, choice = unique("worker"), Choice(mode)
        self.real = LeasedTaskExchanges(broker.link, worker_id, idle=3600.0, choice=choice)
        self.exchanges: TaskExchanges = self.real

    async def connect(self) -> None:
        await self.broker.run_link()
        await self.broker.stack.enter_async_context(running(self.real.run))

    async def standing(self, task_id: str) -> bool:
        return await stands(self.broker.connection, task_exchange(task_id).name)

    async def lose_link(self) -> None:
        await self.broker.stop_link()

    async def link_back(self) -> None:
        await self.broker.run_link()


@pytest.fixture(params=["fake", "plain", "fast"])
async def unlinked(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Run the suite over the fake and over the real ones in either way, which have no link yet."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with broker_at(request.getfixturevalue("amqp_url")) as broker:
        yield RealWorld(broker, request.param)


@pytest.fixture
async def world(unlinked: World) -> World:
    """Return a world whose link is up."""
    await unlinked.connect()
    return unlinked


async def until(world: World, task_id: str, *, stands: bool) -> None:
    """Wait until an exchange stands, or does no more."""
    async with asyncio.timeout(PATIENCE):
        while await world.standing(task_id) is not stands:  # noqa: ASYNC110 - no broker tells
            await asyncio.sleep(0.01)


async def test_once_ready_the_exchange_stands(world: World) -> None:
    task_id = unique("task")
    assert not await world.standing(task_id)
    with world.exchanges.hold("default", task_id) as hold:
        await hold.ready()
        assert await world.standing(task_id)


async def test_it_is_made_as_soon_as_its_use_begins_without_being_asked_for(world: World) -> None:
    task_id = unique("task")
    with world.exchanges.hold("default", task_id):
        await until(world, task_id, stands=True)


async def test_once_it_stands_being_ready_waits_for_nothing(world: World) -> None:
    task_id = unique("task")
    with world.exchanges.hold("default", task_id) as hold:
        await hold.ready()
        with pytest.raises(StopIteration):
            hold.ready().__await__().__next__()


async def test_a_hundred_at_once_all_come_to_stand(world: World) -> None:
    tasks = [unique("task") for _ in range(100)]
    with ExitStack() as stack:
        holds = [stack.enter_context(world.exchanges.hold("default", task)) for task in tasks]
        await asyncio.gather(*(hold.ready() for hold in holds))
    assert all([await world.standing(task) for task in tasks])


async def test_it_is_kept_for_a_while_after_the_last_use(world: World) -> None:
    task_id = unique("task")
    for _ in range(2):
        with world.exchanges.hold("default", task_id) as hold:
            await hold.ready()
        assert await world.standing(task_id)


async def test_being_ready_many_times_and_for_many_at_once_is_fine(world: World) -> None:
    task_id = unique("task")
    with ExitStack() as stack:
        holds = [stack.enter_context(world.exchanges.hold("default", task_id)) for _ in range(5)]
        await asyncio.gather(*(hold.ready() for hold in [*holds, *holds]))
        assert await world.standing(task_id)


async def test_what_is_lost_with_the_link_and_still_used_is_made_again_unasked(
    world: World,
) -> None:
    task_id = unique("task")
    with world.exchanges.hold("default", task_id) as hold:
        await hold.ready()
        await world.lose_link()
        await until(world, task_id, stands=False)
        await world.link_back()
        await until(world, task_id, stands=True)


async def test_being_ready_waits_for_the_link(unlinked: World) -> None:
    task_id = unique("task")
    with unlinked.exchanges.hold("default", task_id) as hold:
        waiting = asyncio.create_task(hold.ready())
        await let_run()
        assert not waiting.done()
        await unlinked.connect()
        async with asyncio.timeout(PATIENCE):
            await waiting
        assert await unlinked.standing(task_id)


async def test_a_subscriber_of_the_real_exchange_gets_the_replies_of_its_task_alone(
    amqp_url: str,
) -> None:
    async with broker_at(amqp_url) as broker:
        world = RealWorld(broker)
        await world.connect()
        publisher = ReplyPublisher(broker.link)
        tasks = [unique("task"), unique("task")]
        with world.exchanges.hold("default", tasks[0]) as hold:
            await hold.ready()
            inbox = Inbox(await broker.connection.channel())
            await inbox.bind(task_exchange(tasks[0]).name, "#")
            for task_id in reversed(tasks):
                replies = Replies(Address("default", task_id, task_id, task_id=task_id), 0)
                await publisher.announce(replies.created(b"{}"))
            (message,) = await inbox.take()
        assert message.message_id == f"{tasks[0]}:0:1"
