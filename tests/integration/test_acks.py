"""Acks over a real RabbitMQ: hundreds in one turn of the loop, all of them heard."""

import asyncio

import pytest
from aio_pika import Message

from tests.conformance.script import PATIENCE
from tests.conformance.watching import broker_at, running, unique
from worker.amqp.consumer import QueueConsumer
from worker.amqp.delivery import AmqpDelivery

pytestmark = pytest.mark.anyio
MANY = 500


@pytest.mark.parametrize("kind", ["classic", "quorum"])
@pytest.mark.parametrize("stopped", [False, True])
async def test_many_acks_of_one_turn_all_arrive_before_the_channel_is_closed(
    amqp_url: str, stopped: bool, kind: str
) -> None:
    """Whether it is drained in that turn, or the consumer ended."""
    taken: asyncio.Queue[AmqpDelivery] = asyncio.Queue()
    async with broker_at(amqp_url) as broker:
        await broker.run_link()
        outside = await broker.connection.channel()
        name = unique("acks")
        queue = await outside.declare_queue(name, durable=True, arguments={"x-queue-type": kind})
        for n in range(MANY):
            await outside.default_exchange.publish(Message(b"%d" % n, delivery_mode=2), name)
        consumer = QueueConsumer(broker.link, name, "default", MANY, taken.put_nowait)
        async with running(consumer.run):
            async with asyncio.timeout(PATIENCE):
                deliveries = [await taken.get() for _ in range(MANY)]
                assert all(one.claim() for one in deliveries)
                for one in deliveries:
                    await one.ack()
                if stopped:
                    await consumer.rested()
                else:
                    consumer.close()
                    await consumer.closed()
        left = await outside.declare_queue(name, passive=True)
        assert left.declaration_result.message_count == 0
        await queue.delete(if_unused=False, if_empty=False)
