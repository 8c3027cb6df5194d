"""A queue of one's own, bound where one wants to listen, again after every loss."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from aiormq.abc import DeliveredMessage

from worker.amqp.backoff import Backoff
from worker.amqp.declare import declare_exchange
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.link import Link
from worker.amqp.messages import envelope_of
from worker.amqp.session import Channel
from worker.core.envelope import Envelope
from worker.core.errors import LinkLost
from worker.core.topology import HUB, task_exchange

PREFETCH = 256
log = logging.getLogger(__name__)


class Subscription:
    """Messages of a hub key, or of one task, as they come.

    While the link is down messages are missed: the queue is exclusive and goes with it.

    Args:
        link: the connection.
        queue: its name.
        key: the binding key.
        task_id: the task whose exchange to bind to, made if it is new; None for the hub.
    """

    def __init__(self, link: Link, queue: str, key: str, task_id: str | None = None) -> None:
        self._link = link
        self._queue = queue
        self._key = key
        self._task_id = task_id
        self._received: asyncio.Queue[tuple[Envelope, Channel, int]] = asyncio.Queue()
        self.bound = asyncio.Event()
        """Set once it listens."""

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            LinkLost: with code 404, the hub is not there: no worker has set up this broker.
        """
        backoff = Backoff()
        while True:
            session = await self._link.session()
            try:
                channel = await session.channel(confirms=False)
                await self._listen(channel)
                self.bound.set()
                backoff.reset()
                await channel.lost.wait()
            except LinkLost as error:
                if error.code == NOT_FOUND:
                    raise
                log.debug("subscription lost: %s", error)
            await asyncio.sleep(backoff.next())

    async def __aiter__(self) -> AsyncIterator[Envelope]:
        while True:
            envelope, channel, tag = await self._received.get()
            if not channel.lost:
                with suppress(LinkLost):
                    await guarded(channel.raw.basic_ack(tag, wait=False))
            yield envelope

    async def _listen(self, channel: Channel) -> None:
        async def receive(delivered: DeliveredMessage) -> None:
            taken = (envelope_of(delivered, ""), channel, delivered.delivery_tag or 0)
            self._received.put_nowait(taken)

        source = HUB
        await guarded(channel.raw.basic_qos(prefetch_count=PREFETCH))
        await guarded(channel.pika.declare_queue(self._queue, exclusive=True))
        if self._task_id is not None:
            exchange = task_exchange(self._task_id)
            await declare_exchange(channel.pika, exchange)
            source = exchange.name
        await guarded(channel.raw.queue_bind(self._queue, source, self._key))
        await guarded(channel.raw.basic_consume(self._queue, receive))
