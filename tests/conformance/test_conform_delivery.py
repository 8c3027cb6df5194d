"""What the flow may expect of a delivery."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractChannel

from tests.conformance.script import PATIENCE
from tests.conformance.watching import Broker, broker_at, running, unique
from tests.fakes import FakeChannel, FakeDelivery
from tests.unit.relay.flow import let_run
from worker.amqp.consumer import QueueConsumer
from worker.amqp.delivery import AmqpDelivery
from worker.core.envelope import Envelope, Properties
from worker.relay.ports import Delivery

pytestmark = pytest.mark.anyio


class World(Protocol):
    """A queue, and a consumer of it."""

    async def publish(self, body: bytes) -> None:
        """Put a message into the queue."""

    async def delivery(self) -> Delivery:
        """Return the next delivery."""

    async def begin_again(self) -> None:
        """Stop consuming and start again; what is unacked is handed out again."""

    async def lose_link(self) -> None:
        """Lose the link; what is unacked is handed out again, and acks may be lost with it."""

    def drain(self) -> None:
        """Begin to drain the queue."""

    async def drained(self) -> None:
        """Return once it is drained."""

    def open(self) -> None:
        """Consume the drained queue again."""


class FakeWorld:
    """A queue in memory, of fake deliveries."""

    def __init__(self) -> None:
        self._queue: deque[Envelope] = deque()
        self._channel = FakeChannel()
        self._unacked: list[FakeDelivery] = []

    async def publish(self, body: bytes) -> None:
        properties = Properties(headers={"count": 1}, message_id="m1")
        self._queue.append(Envelope("acme", body, "the.queue", properties))

    async def delivery(self) -> Delivery:
        if self._channel.lost:
            self.open()
        made = FakeDelivery(self._queue.popleft(), channel=self._channel)
        self._unacked.append(made)
        return made

    async def begin_again(self) -> None:
        await self.lose_link()

    async def lose_link(self) -> None:
        self._channel.lose()
        self.open()

    def drain(self) -> None:
        self._channel.recall()

    async def drained(self) -> None:
        gone = asyncio.Event()
        self._channel.when_lost(gone.set)
        await gone.wait()

    def open(self) -> None:
        for one in reversed(self._unacked):
            if not one.acked:
                self._queue.appendleft(replace(one.envelope, redelivered=True))
        self._unacked.clear()
        self._channel = FakeChannel()


class RealWorld:
    """A queue on the real broker."""

    def __init__(self, broker: Broker, outside: AbstractChannel, queue: str) -> None:
        self._broker = broker
        self._outside = outside
        self._queue = queue
        self._taken: asyncio.Queue[AmqpDelivery] = asyncio.Queue()
        self._consuming = AsyncExitStack()

    async def consume(self) -> None:
        """Begin to consume."""
        take = self._taken.put_nowait
        self._consumer = QueueConsumer(self._broker.link, self._queue, "acme", 10, take)
        await self._consuming.enter_async_context(running(self._consumer.run))
        await self._consumer.started.wait()

    async def stop(self) -> None:
        """Stop to consume."""
        await self._consuming.aclose()

    async def publish(self, body: bytes) -> None:
        message = Message(body, headers={"count": 1}, message_id="m1")
        await self._outside.default_exchange.publish(message, self._queue)

    async def delivery(self) -> Delivery:
        async with asyncio.timeout(PATIENCE):
            return await self._taken.get()

    async def begin_again(self) -> None:
        await self.stop()
        await self.consume()

    async def lose_link(self) -> None:
        await self._broker.lose_link()

    def drain(self) -> None:
        self._consumer.close()

    async def drained(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._consumer.closed()

    def open(self) -> None:
        self._consumer.open()


@pytest.fixture(params=["fake", "real"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Run the suite over the fake and over the real one."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with broker_at(request.getfixturevalue("amqp_url")) as broker:
        outside = await broker.connection.channel()
        queue = await outside.declare_queue(unique("conformance"))
        broker.stack.push_async_callback(queue.delete, if_unused=False, if_empty=False)
        real = RealWorld(broker, outside, queue.name)
        await broker.run_link()
        await real.consume()
        yield real
        await real.stop()


async def test_it_is_the_message_as_it_was_published(world: World) -> None:
    await world.publish(b'{"text":"\xc3\xa9"}')
    delivery = await world.delivery()
    envelope = delivery.envelope
    assert (envelope.network, envelope.body) == ("acme", b'{"text":"\xc3\xa9"}')
    assert envelope.properties.message_id == "m1"
    assert envelope.properties.headers == {"count": 1}
    assert (envelope.redelivered, envelope.delivery_count) == (False, 0)
    assert envelope.routing_key
    assert not delivery.lost
    await delivery.ack()


async def test_what_was_acked_is_not_handed_out_again_and_what_was_not_is(world: World) -> None:
    for body in (b"acked", b"not acked", b"never touched"):
        await world.publish(body)
    acked, unacked, _ = [await world.delivery() for _ in range(3)]
    await acked.ack()
    await world.begin_again()
    again = [await world.delivery() for _ in range(2)]
    assert [one.envelope.body for one in again] == [b"not acked", b"never touched"]
    assert all(one.envelope.redelivered for one in again)
    assert unacked.lost
    assert not any(one.lost for one in again)
    for one in again:
        await one.ack()


async def test_an_ack_over_a_link_that_is_gone_does_nothing(world: World) -> None:
    await world.publish(b"job")
    delivery = await world.delivery()
    await world.lose_link()
    again = await world.delivery()
    await delivery.ack()
    await world.lose_link()
    once_more = await world.delivery()
    assert [delivery.lost, again.lost, once_more.lost] == [True, True, False]
    assert once_more.envelope.body == b"job"
    await once_more.ack()


@pytest.mark.parametrize("lost", [False, True])
async def test_settling_twice_is_a_bug_whatever_became_of_the_link(
    world: World, lost: bool
) -> None:
    await world.publish(b"job")
    delivery = await world.delivery()
    if lost:
        await world.lose_link()
    await delivery.ack()
    with pytest.raises(RuntimeError):
        await delivery.ack()
    if lost:
        await (await world.delivery()).ack()


async def test_acks_may_come_in_any_order(world: World) -> None:
    for body in (b"1", b"2", b"3"):
        await world.publish(body)
    one, two, three = [await world.delivery() for _ in range(3)]
    await three.ack()
    await one.ack()
    await world.begin_again()
    assert (await world.delivery()).envelope.body == b"2"
    assert two.lost


async def test_what_is_claimed_stays_claimed(world: World) -> None:
    await world.publish(b"job")
    delivery = await world.delivery()
    assert [delivery.claim(), delivery.claim()] == [True, True]
    await delivery.ack()


async def test_what_was_settled_or_lost_cannot_be_claimed(world: World) -> None:
    for body in (b"1", b"2"):
        await world.publish(body)
    acked, lost = [await world.delivery() for _ in range(2)]
    await acked.ack()
    await world.begin_again()
    again = await world.delivery()
    again.give_back()
    assert [one.claim() for one in (acked, lost, again)] == [False] * 3
    await (await world.delivery()).ack()


async def test_it_tells_once_when_it_is_lost_unless_that_is_taken_back(world: World) -> None:
    told = list[str]()
    await world.publish(b"job")
    delivery = await world.delivery()
    delivery.when_lost(lambda: told.append("first"))
    take_back = delivery.when_lost(lambda: told.append("second"))
    delivery.when_lost(lambda: told.append("third"))
    take_back()
    assert told == []
    await world.lose_link()
    again = await world.delivery()
    assert told == ["first", "third"]
    take_back()
    delivery.when_lost(lambda: told.append("late"))()
    assert told == ["first", "third", "late"]
    await again.ack()


async def test_a_drain_lets_the_begun_finish_and_returns_the_rest_in_order(world: World) -> None:
    for body in (b"1", b"2", b"3", b"4"):
        await world.publish(body)
    one, two, three, four = [await world.delivery() for _ in range(4)]
    assert one.claim()
    assert three.claim()
    world.drain()
    draining = asyncio.create_task(world.drained())
    assert [each.claim() for each in (two, four)] == [False, False]
    await three.ack()
    await let_run()
    assert not draining.done()
    assert not any(each.lost for each in (one, two, four))
    assert one.claim()
    await one.ack()
    await draining
    assert two.lost
    assert four.lost
    world.open()
    again = [await world.delivery() for _ in range(2)]
    assert [each.envelope.body for each in again] == [b"2", b"4"]
    assert all(each.claim() for each in again)
    for each in again:
        await each.ack()


async def test_what_was_acked_all_at_once_right_before_a_drain_does_not_come_again(
    world: World,
) -> None:
    for n in range(10):
        await world.publish(b"%d" % n)
    deliveries = [await world.delivery() for _ in range(10)]
    assert all(one.claim() for one in deliveries)
    await asyncio.gather(*(one.ack() for one in deliveries))
    world.drain()
    await world.drained()
    world.open()
    await world.publish(b"new")
    new = await world.delivery()
    assert (new.envelope.body, new.envelope.redelivered) == (b"new", False)
    await new.ack()


async def test_what_nobody_claimed_may_be_acked_while_others_are_under_way(world: World) -> None:
    for body in (b"1", b"2", b"3"):
        await world.publish(body)
    one, two, _ = [await world.delivery() for _ in range(3)]
    assert one.claim()
    world.drain()
    await two.ack()
    await one.ack()
    await world.drained()
    world.open()
    again = await world.delivery()
    assert again.envelope.body == b"3"
    await again.ack()


async def test_what_is_given_back_is_handed_out_again_with_all_that_was_not_begun(
    world: World,
) -> None:
    for body in (b"1", b"2", b"3", b"4"):
        await world.publish(body)
    one, two, three, four = [await world.delivery() for _ in range(4)]
    assert two.claim()
    assert three.claim()
    two.give_back()
    two.give_back()
    assert [each.claim() for each in (one, two, three, four)] == [False, False, True, False]
    assert not three.lost
    await three.ack()
    again = [await world.delivery() for _ in range(3)]
    assert [each.envelope.body for each in again] == [b"1", b"2", b"4"]
    assert all(each.envelope.redelivered for each in again)
    assert all(each.lost for each in (one, two, three, four))
    for each in again:
        await each.ack()


async def test_what_was_given_back_cannot_be_acked(world: World) -> None:
    await world.publish(b"job")
    delivery = await world.delivery()
    delivery.give_back()
    with pytest.raises(RuntimeError):
        await delivery.ack()
    await (await world.delivery()).ack()


async def test_what_was_acked_cannot_be_given_back(world: World) -> None:
    for body in (b"1", b"2"):
        await world.publish(body)
    one, two = [await world.delivery() for _ in range(2)]
    await one.ack()
    one.give_back()
    assert two.claim()
    assert not two.lost
    await two.ack()
