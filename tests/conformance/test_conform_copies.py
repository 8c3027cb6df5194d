"""What the flow may expect of whoever keeps its letters and moves its jobs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Protocol

import pytest
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel

from tests.conformance.script import PATIENCE
from tests.conformance.watching import (
    Broker,
    Inbox,
    broker_at,
    properties_of,
    take_out,
    unique,
)
from tests.fakes import Copied, FakeCopies
from tests.unit.relay.flow import let_run
from worker.amqp.choice import Choice, Mode
from worker.amqp.copies import JobCopies
from worker.core.envelope import Properties
from worker.core.topology import DEAD, jobs_exchange
from worker.relay.ports import Copies

pytestmark = pytest.mark.anyio

BODY = b'{"task_id": "t",  "text":"\xc3\xa9", "new": 1.50}'


class World(Protocol):
    """Somewhere to put copies, without a link until it is given one."""

    copies: Copies
    network: str

    async def connect(self) -> None:
        """Let the link come up, and the queues with it."""

    async def letters(self, message_id: str) -> list[Copied]:
        """Return the letters of that id that are kept now."""

    async def forwards(self, count: int) -> list[Copied]:
        """Return so many forwards, in the order they came."""


class FakeWorld:
    """The fake copies."""

    def __init__(self) -> None:
        self.fake = FakeCopies()
        self.fake.gate.shut()
        self.copies: Copies = self.fake
        self.network = "acme"

    async def connect(self) -> None:
        self.fake.gate.open()

    async def letters(self, message_id: str) -> list[Copied]:
        return [one for one in self.fake.letters if one.properties.message_id == message_id]

    async def forwards(self, count: int) -> list[Copied]:
        assert len(self.fake.forwards) >= count
        return self.fake.forwards[:count]


class RealWorld:
    """The real copies over the real broker, and a network of their own."""

    def __init__(self, broker: Broker, outside: AbstractChannel, mode: Mode) -> None:
        self.copies: Copies = JobCopies(broker.link, Choice(mode))
        self.network = unique("network")
        self._broker = broker
        self._outside = outside
        self._inbox = Inbox(outside)

    async def connect(self) -> None:
        name = jobs_exchange(self.network)
        exchange = await self._outside.declare_exchange(name, ExchangeType.DIRECT)
        self._broker.stack.push_async_callback(exchange.delete)
        await self._inbox.bind(name, "2a")
        await self._broker.run_link()

    async def letters(self, message_id: str) -> list[Copied]:
        found = await take_out(self._outside, DEAD, message_id)
        return [Copied((str(one.routing_key),), one.body, properties_of(one)) for one in found]

    async def forwards(self, count: int) -> list[Copied]:
        return [
            Copied((self.network, str(one.routing_key)), one.body, properties_of(one))
            for one in await self._inbox.take(count)
        ]


@pytest.fixture(params=["fake", "plain", "fast"])
async def unlinked(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Run the suite over the fake and over the real ones, which have no link yet."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with broker_at(request.getfixturevalue("amqp_url")) as broker:
        yield RealWorld(broker, await broker.connection.channel(), request.param)


@pytest.fixture
async def world(unlinked: World) -> World:
    """Return a world whose link is up."""
    await unlinked.connect()
    return unlinked


def properties(**more: str) -> Properties:
    """Return properties of every sort."""
    return Properties(
        headers={
            "aui-channel": "sms",
            "count": 3,
            "big": 2**40,
            "flag": True,
            "nothing": None,
            "list": [1, "two"],
            "table": {"a": "b"},
            "bytes": bytearray(b"\xff\x00"),
        },
        content_type="application/json",
        content_encoding="utf-8",
        priority=4,
        correlation_id="correlation",
        reply_to="sub.me",
        message_id=more.get("message_id", unique("job")),
        timestamp=datetime(2026, 3, 9, 14, 22, 1, tzinfo=UTC),
        type="message.send",
        app_id="producer",
    )


async def test_a_letter_is_kept_under_its_key_with_all_it_had(world: World) -> None:
    sent = properties()
    await world.copies.to_dead("acme.sms.task_1.bad_request", BODY, sent)
    kept = await world.letters(sent.message_id or "")
    assert kept == [Copied(("acme.sms.task_1.bad_request",), BODY, sent)]


async def test_a_job_is_queued_in_its_slot_with_all_it_had(world: World) -> None:
    sent = properties()
    await world.copies.to_slot(world.network, "2a", BODY, sent)
    assert await world.forwards(1) == [Copied((world.network, "2a"), BODY, sent)]


async def test_jobs_queue_up_in_the_order_they_were_moved(world: World) -> None:
    names = [unique("job") for _ in range(20)]
    for name in names:
        await world.copies.to_slot(world.network, "2a", BODY, properties(message_id=name))
    assert [copy.properties.message_id for copy in await world.forwards(20)] == names


async def test_two_copies_of_one_job_are_both_kept(world: World) -> None:
    sent = properties(message_id=unique("job"))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(world.copies.to_dead("a.b.c.d", BODY, sent) for _ in range(2)))
    assert len(await world.letters(sent.message_id or "")) == 2


async def test_a_job_without_any_property_can_be_copied(world: World) -> None:
    await world.copies.to_slot(world.network, "2a", b"", Properties())
    (copy,) = await world.forwards(1)
    assert (copy.body, copy.properties.headers, copy.properties.reply_to) == (b"", {}, None)


@pytest.mark.parametrize("kind", ["letter", "forward"])
async def test_it_does_not_return_before_the_copy_is_confirmed(unlinked: World, kind: str) -> None:
    sent = properties()
    if kind == "letter":
        copying = asyncio.create_task(unlinked.copies.to_dead("a.b.c.d", BODY, sent))
    else:
        to_slot = unlinked.copies.to_slot(unlinked.network, "2a", BODY, sent)
        copying = asyncio.create_task(to_slot)
    await let_run()
    assert not copying.done()
    await unlinked.connect()
    async with asyncio.timeout(PATIENCE):
        await copying
    if kind == "letter":
        assert len(await unlinked.letters(sent.message_id or "")) == 1
    else:
        assert len(await unlinked.forwards(1)) == 1
