"""A durable queue of one's own, bound to the hub where one wants to listen, over every loss.

What comes while the connection is down waits in the queue. What was handed out and not acked
comes again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiormq.abc import DeliveredMessage

from worker.amqp.backoff import Backoff
from worker.amqp.bindings import Bindings
from worker.amqp.declare import declare_exchange
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.link import Link
from worker.amqp.messages import envelope_of
from worker.amqp.session import Channel, Session
from worker.core.envelope import Envelope
from worker.core.errors import LinkLost
from worker.core.topology import HUB, ExchangeSpec, QueueSpec

log = logging.getLogger(__name__)


class Handed:
    """One message that was handed out, until it is settled or its channel is lost."""

    def __init__(self, channel: Channel, tag: int, later: set[asyncio.Task[None]]) -> None:
        self._channel = channel
        self._tag = tag
        self._later = later
        self._settled = False

    @property
    def gone(self) -> bool:
        """Its channel is lost: it comes again."""
        return bool(self._channel.lost)

    async def ack(self) -> None:
        """Have it taken off the queue; nothing happens where it was settled or comes again."""
        if self._take():
            with suppress(LinkLost):
                await guarded(self._channel.raw.basic_ack(self._tag, wait=False))

    async def give_back(self, after: float) -> None:
        """Have it handed out again, in so many seconds; returns at once."""
        if self._take():
            task = asyncio.create_task(self._return(after))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    def _take(self) -> bool:
        ours, self._settled = not self._settled and not self._channel.lost, True
        return ours

    async def _return(self, after: float) -> None:
        await asyncio.sleep(after)
        if not self._channel.lost:
            with suppress(LinkLost):
                await guarded(self._channel.raw.basic_nack(self._tag, requeue=True, wait=False))


class Subscription:
    """Listens to the hub by way of a queue.

    Args:
        link: the connection.
        queue: the queue; it is left standing, but for :meth:`remove`.
        prefetch: how much may be handed out and not acked.
        receive: called with each message, in order up to its first await.

    Attributes:
        bindings: what the queue is bound to; may be changed at any time.
        stands: set once it listens for the first time.
    """

    def __init__(
        self,
        link: Link,
        queue: QueueSpec,
        prefetch: int,
        receive: Callable[[Envelope, Handed], Awaitable[None]],
    ) -> None:
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._receive = receive
        self._later: set[asyncio.Task[None]] = set()
        self._listening = False
        self.bindings = Bindings(queue.name)
        self.stands = asyncio.Event()

    async def run(self) -> None:
        """Listen until stopped or cancelled; what is not acked then goes back.

        Raises:
            LinkLost: with a code: the broker refuses the queue or has no hub, and did not before.
        """
        backoff = Backoff()
        while True:
            session = await self._link.session()
            channel = None
            try:
                channel = await self._listen(session)
                backoff.reset()
                await self.bindings.keep(session, channel.lost)
                if self.bindings.ended():
                    return
                log.warning("%s: %s; listening again", self._queue.name, channel.lost.why)
            except LinkLost as error:
                if error.code is not None and not self.stands.is_set():
                    raise
                log.warning("%s: %s; listening again", self._queue.name, error)
            finally:
                self._listening = False
                for task in self._later:
                    task.cancel()
                if channel is not None and not session.lost:
                    await channel.close()
            await asyncio.sleep(backoff.next())

    def stop(self) -> bool:
        """Have :meth:`run` end without breaking off what it has asked of the broker.

        Returns:
            whether it will, for it listens now; else it may be cancelled at once.
        """
        self.bindings.end()
        return self._listening

    async def remove(self) -> None:
        """Take the queue off the broker, when it no longer runs.

        Unbound first: the end of a queue with very many bindings stalls a broker.
        """
        session = await self._link.session()
        channel = await session.channel(confirms=False)
        await self.bindings.release(channel)
        await guarded(channel.raw.queue_delete(self._queue.name))
        await channel.close()

    async def _listen(self, session: Session) -> Channel:
        await hub_standing(session)
        channel = await session.channel(confirms=False)

        async def deliver(delivered: DeliveredMessage) -> None:
            handed = Handed(channel, delivered.delivery_tag or 0, self._later)
            await self._receive(envelope_of(delivered, ""), handed)

        arguments = dict(self._queue.arguments)
        await guarded(channel.raw.basic_qos(prefetch_count=self._prefetch))
        await guarded(
            channel.pika.declare_queue(self._queue.name, durable=True, arguments=arguments)
        )
        await guarded(channel.raw.basic_consume(self._queue.name, deliver))
        self._listening = True
        self.stands.set()
        return channel


async def hub_standing(session: Session) -> None:
    """See to it that there is a hub: whoever comes first declares it.

    Raises:
        LinkLost: with a code, there is none, and we may not declare it.
    """
    try:
        channel = await session.channel(confirms=False)
        await declare_exchange(channel.pika, ExchangeSpec(HUB, "topic"))
    except LinkLost as error:
        if error.code is None:
            raise
        channel = await session.channel(confirms=False)
        try:
            await guarded(channel.pika.get_exchange(HUB, ensure=True))
        except LinkLost as missing:
            if missing.code != NOT_FOUND:
                raise
            raise LinkLost(
                f"no exchange {HUB}: no worker has run on this broker, and we may not declare it"
                f" ({error})",
                NOT_FOUND,
            ) from None
    await channel.close()
