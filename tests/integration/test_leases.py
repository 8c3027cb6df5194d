"""Task exchanges on a real RabbitMQ: many at once, some in trouble, and all given up in time."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pytest
from aiormq.exceptions import ChannelNotFoundEntity

from tests.conformance.script import PATIENCE
from tests.conformance.watching import Broker, broker_at, running, stands, unique
from worker.amqp import leases
from worker.amqp.choice import Choice
from worker.amqp.link import Link
from worker.amqp.session import Channel, Session
from worker.amqp.task_exchanges import Hold, LeasedTaskExchanges
from worker.core.topology import task_exchange

pytestmark = pytest.mark.anyio
FOREVER = 3600.0
WORD = "word"


@pytest.fixture
async def watched(amqp_url: str) -> AsyncIterator[Broker]:
    """Lend a broker with a link that is up."""
    async with broker_at(amqp_url) as lent:
        await lent.run_link()
        yield lent


@pytest.fixture(params=["plain", "fast"])
def choice(request: pytest.FixtureRequest) -> Choice:
    """Make them in one way or the other."""
    return Choice(request.param)


@contextmanager
def used(exchanges: LeasedTaskExchanges, *task_ids: str) -> Iterator[list[Hold]]:
    """Use the exchanges of some tasks."""
    with ExitStack() as stack:
        yield [stack.enter_context(exchanges.hold("default", task_id)) for task_id in task_ids]


async def ready(holds: list[Hold]) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(hold.ready() for hold in holds))


async def standing(watched: Broker, *task_ids: str) -> list[bool]:
    """Tell of each task whether its exchange stands."""
    return [await stands(watched.connection, task_exchange(task_id).name) for task_id in task_ids]


async def until_gone(watched: Broker, *task_ids: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(await standing(watched, *task_ids)):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.02)


async def test_one_that_cannot_be_made_leaves_those_made_with_it_alone(
    watched: Broker, choice: Choice, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = [unique("task") for _ in range(40)]
    bad = task_exchange(tasks[17]).name
    outside = await watched.connection.channel()
    await outside.declare_exchange(bad, "topic", durable=True)
    exchanges = LeasedTaskExchanges(watched.link, unique("worker"), FOREVER, choice)
    async with running(exchanges.run):
        for _ in range(2):
            with used(exchanges, *tasks) as holds:
                await ready(holds)
                assert all(await standing(watched, *tasks))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.split(":")[0] for message in warned] == [f"exchange of task {tasks[17]}"] * 2
    await outside.exchange_delete(bad)


async def test_a_lease_queue_that_somebody_deleted_is_made_again(
    amqp_url: str,
    watched: Broker,
    choice: Choice,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(leases, "secrets", SimpleNamespace(token_hex=lambda _: WORD))
    repaired, worker_id = list[Session](), unique("worker")

    async def repair(session: Session) -> None:
        repaired.append(session)

    link = Link("leases", amqp_url, repair=repair)
    exchanges = LeasedTaskExchanges(link, worker_id, FOREVER, choice)
    first, *more = [unique("task") for _ in range(4)]
    async with running(link.run, exchanges.run):
        with used(exchanges, first) as holds:
            await ready(holds)
            session = await link.session()
            channel = await session.channel(confirms=False)
            await channel.raw.queue_delete(f"aui.lease.{worker_id}.{WORD}")
            with used(exchanges, *more) as others:
                await ready(others)
                assert all(await standing(watched, *more))
    assert repaired == [session]
    assert "exchange of task" not in caplog.text


async def test_idle_ones_are_given_up_and_with_the_last_its_lease_queue(
    watched: Broker, choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "secrets", SimpleNamespace(token_hex=lambda _: WORD))
    worker_id = unique("worker")
    exchanges = LeasedTaskExchanges(watched.link, worker_id, 0.1, choice)
    kept, *idle = [unique("task") for _ in range(5)]
    session = await watched.link.session()
    channel = await session.channel(confirms=False)
    async with running(exchanges.run):
        with used(exchanges, kept):
            with used(exchanges, *idle) as holds:
                await ready(holds)
            await until_gone(watched, *idle)
            assert await standing(watched, kept) == [True]
        await until_gone(watched, kept)
    with pytest.raises(ChannelNotFoundEntity):
        await channel.raw.queue_declare(f"aui.lease.{worker_id}.{WORD}", passive=True)


async def test_they_are_given_up_over_one_channel_again_and_again(
    watched: Broker, choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aio-pika keeps a little of each channel that was closed, as long as the connection lives."""
    opened = list[Session]()
    original = Session.channel

    async def counted(session: Session, *, confirms: bool) -> Channel:
        opened.append(session)
        return await original(session, confirms=confirms)

    exchanges = LeasedTaskExchanges(watched.link, unique("worker"), 0.05, choice)
    async with running(exchanges.run):
        for turn in range(4):
            task_id = unique("task")
            with used(exchanges, task_id) as holds:
                await ready(holds)
            await until_gone(watched, task_id)
            if turn == 0:
                monkeypatch.setattr(Session, "channel", counted)
    assert opened == []


async def test_one_that_is_used_again_while_it_is_given_up_stands_when_ready(
    watched: Broker, choice: Choice
) -> None:
    exchanges = LeasedTaskExchanges(watched.link, unique("worker"), 0.004, choice)

    async def use_again_and_again(task_id: str) -> None:
        for _ in range(20):
            with used(exchanges, task_id) as holds:
                await ready(holds)
                assert await standing(watched, task_id) == [True]
            await asyncio.sleep(random.uniform(0.0, 0.02))

    async with running(exchanges.run):
        await asyncio.gather(*(use_again_and_again(unique("task")) for _ in range(8)))


async def test_those_under_way_when_the_link_is_lost_are_made_over_the_next(
    watched: Broker, choice: Choice
) -> None:
    exchanges = LeasedTaskExchanges(watched.link, unique("worker"), FOREVER, choice)
    tasks = [unique("task") for _ in range(100)]
    async with running(exchanges.run):
        with used(exchanges, *tasks) as holds:
            await holds[0].ready()
            await watched.lose_link()
            await ready(holds)
            assert all(await standing(watched, *tasks))
