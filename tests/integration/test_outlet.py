"""A confirm channel over a real RabbitMQ: what is placed, where, and in which order."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from aio_pika import Message
from harness import Bench
from pamqp.common import FieldTable

from worker.amqp.link import Link
from worker.amqp.outlet import Outlet, Placed
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio


@pytest.fixture
async def outlet(amqp_url: str) -> AsyncIterator[Outlet]:
    """Lend an outlet on a link of its own."""
    link = Link("test", amqp_url)
    life = asyncio.create_task(link.run())
    await link.session()
    yield Outlet(link)
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


@pytest.fixture
def queue() -> str:
    """Return the name of a queue of the test's own."""
    return f"sub.test.{uuid.uuid4().hex}"


async def test_an_update_goes_over_its_channel_or_not_at_all(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """Once the channel is lost it never leaves over the next one, behind its successors."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    channel = await outlet.ready()
    channel.lost.tell("cut")

    with pytest.raises(LinkLost, match="cut"):
        await outlet.publish_over(channel, "", queue, Message(b"late"), mandatory=True)

    assert await outlet.publish("", queue, Message(b"next")) is Placed.KEPT
    got = await declared.get()
    assert got.body == b"next"


async def test_what_is_started_in_order_leaves_in_order(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """Two hundred publishes at once, none awaited before the next is started."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    await outlet.ready()

    placed = await asyncio.gather(
        *(outlet.place("", queue, Message(str(n).encode(), message_id=f"{n}")) for n in range(200))
    )
    bodies = [int((await declared.get(no_ack=True)).body) for _ in range(200)]

    assert set(placed) == {Placed.KEPT}
    assert bodies == list(range(200))


async def test_what_nobody_takes_is_unrouted(outlet: Outlet, queue: str) -> None:
    """A mandatory publish to a queue that is not there comes back."""
    assert await outlet.place("", queue, Message(b"x", message_id="x")) is Placed.UNROUTED


async def test_a_full_queue_refuses_after_three_tries(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """The broker's nack is a verdict on the message, not on the link."""
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    await at.channel.declare_queue(queue, exclusive=True, arguments=full)

    assert await outlet.place("", queue, Message(b"x", message_id="x")) is Placed.REFUSED


async def test_a_missing_exchange_is_a_lost_link_with_its_code(outlet: Outlet) -> None:
    """The broker closes the channel; the next publish has a new one."""
    with pytest.raises(LinkLost) as lost:
        await outlet.publish(f"none.{uuid.uuid4().hex}", "key", Message(b"x"))

    assert lost.value.code == 404
    assert await outlet.place("", "nowhere", Message(b"x", message_id="y")) is Placed.UNROUTED
