"""A queue goes to the worker that prefers it most (RabbitMQ 4), or stays where it is (RabbitMQ 3).

Either way only when everything that its worker had in flight is done, and in order.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from broker import Broker
from harness import PATIENCE
from lines import Line, Time, bodies, numbers

from tests.conformance.watching import running
from worker.amqp.consumer import QueueConsumer
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.link import Link
from worker.core.rendezvous import heeds_priority

pytestmark = pytest.mark.anyio

LOW, HIGH = 1, 2


@pytest.fixture
def moves(broker: Broker) -> bool:
    """Whether the broker moves a queue by priority."""
    return heeds_priority(broker.version)


class Member:
    """A worker, as far as one queue is concerned."""

    def __init__(self, line: Line, link: Link, priority: int, time: Time | None = None) -> None:
        self.link = link
        self.taken: asyncio.Queue[AmqpDelivery] = asyncio.Queue()
        self.consumer: QueueConsumer = line.consumer(
            link=link, take=self.taken.put_nowait, priority=priority, time=time
        )

    async def take(self, count: int = 1) -> list[AmqpDelivery]:
        """Return the next deliveries, once they are there."""
        async with asyncio.timeout(PATIENCE):
            return [await self.taken.get() for _ in range(count)]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Lend what ends with the test."""
    async with AsyncExitStack() as lent:
        yield lent


async def joined(
    line: Line, amqp_url: str, stack: AsyncExitStack, priority: int, time: Time | None = None
) -> Member:
    """Have a worker consume a queue over a link of its own, to the end of the test."""
    link = Link(f"member {priority}", amqp_url)
    await stack.enter_async_context(running(link.run))
    member = Member(line, link, priority, time)
    await line.consume(member.consumer)
    return member


async def taker(line: Line, *members: Member, body: str) -> Member:
    """Publish a job, finish it, and return who got it."""
    await line.publish(body)
    waiting = {asyncio.ensure_future(member.take()): member for member in members}
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    (task,) = done
    (delivery,) = task.result()
    assert delivery.envelope.body.decode() == body
    await delivery.ack()
    return waiting[task]


async def until_taker(line: Line, member: Member, *others: Member) -> None:
    """Publish jobs until that worker gets them."""
    async with asyncio.timeout(PATIENCE):
        while await taker(line, member, *others, body="ping") is not member:
            pass


async def test_a_queue_moves_when_what_is_in_flight_is_done(
    line: Line, amqp_url: str, stack: AsyncExitStack, moves: bool
) -> None:
    """However much waits behind it: nothing is handed to either of them until then."""
    low = await joined(line, amqp_url, stack, LOW)
    await line.publish(*numbers(1, 3))
    first = await low.take(3)
    assert all(each.claim() for each in first)

    high = await joined(line, amqp_url, stack, HIGH)
    await line.publish(*numbers(4, 6))
    for each in first[:2]:
        await each.ack()
    if moves:
        await line.until_ready(3)
        assert low.taken.empty()
        assert high.taken.empty()
    await first[2].ack()
    rest = await (high if moves else low).take(3)
    for each in rest:
        await each.ack()

    assert bodies([*first, *rest]) == numbers(1, 6)
    assert not any(each.envelope.redelivered for each in rest)
    assert low.taken.empty()
    assert high.taken.empty()


async def test_who_prefers_a_queue_less_waits_until_it_is_left(
    line: Line, amqp_url: str, stack: AsyncExitStack
) -> None:
    """And has it then, from the first job that was not begun."""
    high = await joined(line, amqp_url, stack, HIGH)
    low = await joined(line, amqp_url, stack, LOW)
    await line.publish(*numbers(1, 3))
    one, *_ = await high.take(3)
    assert one.claim()

    high.consumer.close()
    await one.ack()
    await high.consumer.closed()

    assert bodies(await low.take(2)) == ["2", "3"]


async def test_a_queue_that_was_closed_comes_back_when_it_is_opened(
    line: Line, amqp_url: str, stack: AsyncExitStack, moves: bool
) -> None:
    """As after a brown-out: with the priority it had."""
    high = await joined(line, amqp_url, stack, HIGH)
    low = await joined(line, amqp_url, stack, LOW)
    high.consumer.close()
    await high.consumer.closed()
    assert await taker(line, low, high, body="1") is low

    high.consumer.open()
    if moves:
        await until_taker(line, high, low)
    else:
        async with asyncio.timeout(PATIENCE):
            while not high.consumer.consuming:  # noqa: ASYNC110  only the consumer knows
                await asyncio.sleep(0.02)
        assert await taker(line, low, high, body="2") is low


async def test_a_queue_comes_back_after_a_lost_link(
    line: Line, amqp_url: str, stack: AsyncExitStack, moves: bool
) -> None:
    """Whoever has it meanwhile gives it up, where the broker moves queues."""
    high = await joined(line, amqp_url, stack, HIGH)
    low = await joined(line, amqp_url, stack, LOW)
    lost = await high.link.session()

    await lost.close()
    await until_taker(line, *((high, low) if moves else (low, high)))

    assert await high.link.session() is not lost


async def test_an_old_delivery_on_a_queue_that_is_to_move_goes_back_in_order(
    line: Line, amqp_url: str, stack: AsyncExitStack, moves: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits in a lane for longer than may be is handed to the next one, nothing is lost."""
    time = Time()
    low = await joined(line, amqp_url, stack, LOW, time)
    await line.publish(*numbers(1, 4))
    one, *_ = await low.take(4)
    assert one.claim()
    high = await joined(line, amqp_url, stack, HIGH)
    await line.publish("5")
    if not moves:
        assert bodies(await low.take()) == ["5"]

    with caplog.at_level(logging.WARNING, "worker.amqp.consumer"):
        await time.pass_by(20 * 60)
        await one.ack()
        rest = await high.take(4)

    assert bodies(rest) == numbers(2, 5)
    assert "unsettled for 1200 s" in caplog.text
    assert await line.ready() == 0
    for each in rest:
        await each.ack()
    assert await taker(line, high, low, body="6") is high


async def test_two_workers_of_one_name_are_one_after_another(
    line: Line, amqp_url: str, stack: AsyncExitStack
) -> None:
    """Equal priorities: whoever came first keeps the queue, and the other has it after that."""
    first = await joined(line, amqp_url, stack, HIGH)
    second = await joined(line, amqp_url, stack, HIGH)
    takers = [await taker(line, first, second, body=body) for body in numbers(1, 3)]
    first.consumer.close()
    await first.consumer.closed()

    assert takers == [first] * 3
    assert await taker(line, first, second, body="4") is second
