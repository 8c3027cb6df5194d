"""Consumes one queue over a channel of its own, again after every loss.

One channel per queue: a partition can be drained and closed alone, and a channel that the broker
closes takes no other partition with it. Whatever is to change (close, another prefetch, give
something back) is done by draining: nothing more is begun, what was begun is finished, and then
the channel is closed, which returns the rest in order.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiormq.abc import DeliveredMessage

from worker.amqp.backoff import Backoff
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.ledger import Ledger
from worker.amqp.line import Line
from worker.amqp.link import Link
from worker.amqp.messages import envelope_of
from worker.amqp.session import Session
from worker.amqp.survivals import Survivals
from worker.core.errors import LinkLost
from worker.core.place import Place

MAX_UNACKED_AGE = 20 * 60.0
"""Seconds; the broker closes a channel at 30 minutes, and what runs needs up to a job's deadline
(10 minutes) to be finished first."""
log = logging.getLogger(__name__)


class QueueConsumer:
    """Hands every message of one queue to a callback, in order; open until it is closed.

    Args:
        link: the consuming connection.
        queue: its name.
        network: the network whose queue it is.
        prefetch: how many deliveries may be unacked at once, when it is open in full.
        on_delivery: takes a delivery; must not block.
        priority: of all its consumers the queue goes to the one with the highest (RabbitMQ 4).
        place: which of the network's queues it is; what lies there by mistake is handed on without
            its routing key, to be moved to where it belongs.
        find_crashers: take what was handed out too often apart from others, so that the job that
            ends its workers is found and its neighbours go free.
        max_age: seconds after which the oldest unsettled delivery makes it drain and begin anew.
        now: a monotonic clock, in seconds.
        sleep: waits so many seconds of it.

    Attributes:
        queue: its name.
    """

    def __init__(
        self,
        link: Link,
        queue: str,
        network: str,
        prefetch: int,
        on_delivery: Callable[[AmqpDelivery], None],
        *,
        priority: int = 0,
        place: Place | None = None,
        find_crashers: bool = True,
        max_age: float = MAX_UNACKED_AGE,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._link = link
        self.queue = queue
        self._network = network
        self._prefetch = prefetch
        self._on_delivery = on_delivery
        self._priority = priority
        self._place = place
        self._find_crashers = find_crashers
        self._max_age = max_age
        self._now = now
        self._sleep = sleep
        self._opened = asyncio.Event()
        self._opened.set()
        self._ledger: Ledger | None = None
        self._survivals = Survivals(prefetch)
        self.started = asyncio.Event()
        """Set once the broker has had this consumer, active or waiting its turn."""

    @property
    def consuming(self) -> bool:
        """The broker has this consumer now, active or waiting its turn, as far as is known."""
        ledger = self._ledger
        return ledger is not None and ledger.begun and not ledger.channel.lost

    def open(self) -> None:
        """Consume, if it does not."""
        self._opened.set()

    def close(self) -> None:
        """Consume no longer: what was begun is finished, all else goes back to the queue."""
        self._opened.clear()
        if self._ledger is not None:
            self._ledger.recall()

    async def closed(self) -> None:
        """Return once the present channel is drained and closed, or lost; at once without one."""
        if self._ledger is not None:
            await self._ledger.closed.wait()

    async def rested(self) -> None:
        """Return once no ack of the present channel can be forgotten when it is closed.

        To be waited for where nothing is begun any more.
        """
        ledger = self._ledger
        if ledger is not None and not ledger.channel.lost:
            await ledger.left()
            if ledger.rest > 0:
                await self._sleep(ledger.rest)

    async def run(self) -> None:
        """Consume while open, until cancelled; what is unacked then goes back, in order."""
        losses, returns = Backoff(), Backoff()
        while True:
            await self._opened.wait()
            session = await self._link.session()
            ledger = await self._consume(session)
            if ledger is not None and ledger.begun:
                losses.reset()
            if ledger is not None and ledger.acked:
                returns.reset()
            if ledger is None or not ledger.recalled:
                await self._sleep(losses.next())
            elif ledger.given_back:
                await self._sleep(returns.next())

    async def _consume(self, session: Session) -> Ledger | None:
        """Consume over one channel until it is lost or drained; return the account of it."""
        ledger = None
        try:
            channel = await session.channel(confirms=False)
            ledger = self._ledger = Ledger(channel, self._now)
            if self._opened.is_set():
                await self._begin(ledger)
            else:
                ledger.recall()
            await self._end(ledger)
            if channel.lost and not session.lost:
                log.warning("%s: %s; consuming again", self.queue, channel.lost.why)
            elif ledger.rest > 0:
                await self._sleep(ledger.rest)
        except LinkLost as error:
            if not session.lost:
                log.warning("%s: %s; trying again", self.queue, error)
            if error.code == NOT_FOUND:
                await self._link.repair()
        finally:
            await self._close_channel(session)
        return ledger

    async def _begin(self, ledger: Ledger) -> None:
        line = Line(self.queue, ledger, self._on_delivery)

        async def deliver(delivered: DeliveredMessage) -> None:
            # What comes during a drain goes back with the channel.
            if not ledger.recalled and not ledger.channel.lost:
                line.enter(self._delivery(ledger, delivered))

        raw = ledger.channel.raw
        await guarded(raw.basic_qos(prefetch_count=self._prefetch))
        await guarded(
            raw.basic_consume(self.queue, deliver, arguments={"x-priority": self._priority})
        )
        ledger.begun = True
        self.started.set()

    def _delivery(self, ledger: Ledger, delivered: DeliveredMessage) -> AmqpDelivery:
        tag = delivered.delivery_tag or 0
        envelope = envelope_of(delivered, self._network)
        if self._place is not None and not self._place.holds(envelope):
            envelope = replace(envelope, routing_key="")
        return AmqpDelivery(
            envelope,
            ledger,
            tag,
            first=ledger.enter(tag),
            at=self._now(),
            suspicion=self._survivals.suspicion(envelope) if self._find_crashers else 0,
            queue=self.queue,
        )

    async def _end(self, ledger: Ledger) -> None:
        """Wait until a channel is drained or lost."""
        aging = asyncio.create_task(self._recall_when_old(ledger))
        try:
            await ledger.over.wait()
        finally:
            aging.cancel()
            await asyncio.gather(aging, return_exceptions=True)

    async def _recall_when_old(self, ledger: Ledger) -> None:
        left = self._max_age
        while left > 0:
            await self._sleep(left)
            oldest, now = ledger.oldest, self._now()
            left = self._max_age - (0.0 if oldest is None else now - oldest)
        if ledger.recall():
            log.warning(
                "%s: a delivery is unsettled for %.0f s; draining before the broker closes the"
                " channel",
                self.queue,
                self._max_age,
            )

    async def _close_channel(self, session: Session) -> None:
        """Close the channel, after which none of its deliveries is acked any more."""
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return
        try:
            if not session.lost:
                await ledger.channel.close()
        finally:
            ledger.closed.set()
