"""Consumes one queue over a channel of its own, again after every loss.

One channel per queue: a partition can be drained and closed alone, and a channel that the broker
closes takes no other partition with it.
"""

import asyncio
import logging
from collections.abc import Callable

from aiormq.abc import DeliveredMessage

from worker.amqp.backoff import Backoff
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.link import Link
from worker.amqp.messages import envelope_of
from worker.amqp.session import Channel
from worker.core.errors import LinkLost

log = logging.getLogger(__name__)


class QueueConsumer:
    """Hands every message of one queue to a callback, in order.

    Args:
        link: the consuming connection.
        queue: its name.
        network: the network whose queue it is.
        prefetch: how many deliveries may be unacked at once.
        on_delivery: takes a delivery; must not block.
    """

    def __init__(
        self,
        link: Link,
        queue: str,
        network: str,
        prefetch: int,
        on_delivery: Callable[[AmqpDelivery], None],
    ) -> None:
        self._link = link
        self._queue = queue
        self._network = network
        self._prefetch = prefetch
        self._on_delivery = on_delivery
        self._channel: Channel | None = None
        self.started = asyncio.Event()
        """Set once the broker has had this consumer, active or waiting its turn."""

    async def run(self) -> None:
        """Consume until cancelled; what is unacked then goes back to the queue, in order."""
        backoff = Backoff()
        while True:
            session = await self._link.session()
            try:
                channel = await session.channel(confirms=False)
                self._channel = channel
                await self._consume(channel)
                self.started.set()
                backoff.reset()
                await channel.lost.wait()
                if not session.lost:
                    log.warning("%s: %s; consuming again", self._queue, channel.lost.why)
                    await channel.close()
            except LinkLost as error:
                if not session.lost:
                    log.warning("%s: %s; trying again", self._queue, error)
                if error.code == NOT_FOUND:
                    await self._link.repair()
            finally:
                await self._give_back()
            await asyncio.sleep(backoff.next())

    async def _consume(self, channel: Channel) -> None:
        async def deliver(delivered: DeliveredMessage) -> None:
            if not channel.lost:
                envelope = envelope_of(delivered, self._network)
                self._on_delivery(AmqpDelivery(envelope, channel, delivered.delivery_tag or 0))

        await guarded(channel.raw.basic_qos(prefetch_count=self._prefetch))
        await guarded(channel.raw.basic_consume(self._queue, deliver))

    async def _give_back(self) -> None:
        """Close the channel, after which none of its deliveries is acked any more."""
        channel, self._channel = self._channel, None
        if channel is not None and not channel.lost:
            await channel.close()
