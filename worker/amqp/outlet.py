"""A confirm channel that heals itself: what is published here is confirmed, returned or refused.

Order: publishes that are started one after another leave in that order, however many confirms
are still awaited.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from aio_pika import Message
from aio_pika.exceptions import DeliveryError, PublishError

from worker.amqp.alone import Alone
from worker.amqp.backoff import Backoff
from worker.amqp.guard import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, guarded
from worker.amqp.link import Link
from worker.amqp.session import Channel
from worker.core.errors import LinkLost

PUBLISH_TIMEOUT = 60.0
"""Seconds without a confirm after which a channel is given up; the outcome is then unknown."""
STALLED = 5.0
"""Seconds without a confirm after which publishing counts as not possible: an alarm that the
broker has not told us of, or a broker that hangs."""
REFUSALS = 3
log = logging.getLogger(__name__)


class Placed(Enum):
    """What the broker did with a publish."""

    KEPT = "kept"
    UNROUTED = "unrouted"
    REFUSED = "refused"


@dataclass(slots=True)
class Parcel:
    """What is published until it is placed, and what instead of it once it may have arrived."""

    message: Message
    again: Message | None = None

    def maybe_sent(self) -> None:
        """Go on with the other one: a confirm was lost."""
        self.message = self.again or self.message


class Outlet:
    """Publishes over one channel of a link, opened when needed and again after a loss.

    Args:
        link: the connection.
        patience: seconds without a confirm after which a channel is given up, unless the broker
            has blocked the connection: what it was sent before it takes after the alarm, and
            publishing it again would make it two.
        stalled: seconds without a confirm after which publishing is not possible.
    """

    def __init__(
        self, link: Link, patience: float = PUBLISH_TIMEOUT, stalled: float = STALLED
    ) -> None:
        self._link = link
        self._patience = patience
        self._stalled_after = stalled
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._alone = Alone()
        self._missing = False
        self._unconfirmed: dict[object, float] = {}
        self._answered = float("-inf")
        self._progress = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def possible(self) -> bool:
        """Publishing is possible now, as far as is known.

        One confirm that stays away, while others come, is the trouble of one queue.
        """
        return self._link.up and not self._link.blocked and not self._stalled

    async def ready(self) -> Channel:
        """Wait until there is a channel and the broker takes publishes, and return the channel."""
        backoff = Backoff()
        while True:
            try:
                channel = await self._open()
                await (await self._link.session()).flowing()
            except LinkLost:
                await asyncio.sleep(backoff.next())
            else:
                if not channel.lost:
                    return channel

    async def unstalled(self) -> None:
        """Wait until no confirm is overdue."""
        while self._stalled:
            self._progress.clear()
            await self._progress.wait()

    async def publish(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = True
    ) -> Placed:
        """Publish once, over the current channel.

        Raises:
            LinkLost: the outcome is unknown; publish it again with the same message id.
        """
        return await self.publish_over(
            await self._open(), exchange, key, message, mandatory=mandatory
        )

    async def publish_over(
        self, channel: Channel, exchange: str, key: str, message: Message, *, mandatory: bool
    ) -> Placed:
        """Publish once, over this channel or not at all: never later, behind its successors.

        Raises:
            LinkLost: the channel is gone, and perhaps the message with it.
        """
        if channel.lost:
            raise LinkLost(channel.lost.why or "the channel is gone")
        target = await channel.pika.get_exchange(exchange, ensure=False)
        publishing = channel.lost.ends(guarded(target.publish(message, key, mandatory=mandatory)))
        try:
            return await self._timed(publishing)
        except LinkLost as error:
            self._missing = self._missing or error.code == NOT_FOUND
            raise

    async def _timed(self, publishing: Awaitable[object]) -> Placed:
        """Await one publish, among those whose confirm is awaited."""
        token, loop = object(), asyncio.get_running_loop()
        self._unconfirmed[token] = loop.time()
        placed = Placed.KEPT
        try:
            await publishing
        except PublishError:
            placed = Placed.UNROUTED
        except DeliveryError:
            placed = Placed.REFUSED
        finally:
            del self._unconfirmed[token]
            self._progress.set()
        self._answered = loop.time()
        return placed

    async def place(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = True
    ) -> Placed:
        """Publish until the outcome is known, over as many channels as it takes.

        A refusal (a full queue, a missing right, a message above the broker's limit) is tried
        three times.
        """
        return await self._place(exchange, key, Parcel(message), mandatory=mandatory)

    async def place_surely(
        self, exchange: str, key: str, message: Message, *, again: Message | None = None
    ) -> None:
        """Publish until the broker keeps it, however long a topology stays broken or full.

        Args:
            exchange: where to.
            key: the routing key.
            message: what.
            again: what to publish instead once a confirm was lost, for then both may arrive.
        """
        parcel, backoff = Parcel(message, again), Backoff()
        while (placed := await self._place(exchange, key, parcel)) is not Placed.KEPT:
            log.error("%s %s: %s; the job waits unacked", exchange, key, placed.value)
            if placed is Placed.UNROUTED:
                await self._link.repair()
            await asyncio.sleep(backoff.next())

    async def _place(
        self, exchange: str, key: str, parcel: Parcel, *, mandatory: bool = True
    ) -> Placed:
        async with self._alone.by(parcel.message.message_id if mandatory else None):
            refusals, backoff = 0, Backoff()
            while refusals < REFUSALS:
                channel = await self.ready()
                try:
                    placed = await self.publish_over(
                        channel, exchange, key, parcel.message, mandatory=mandatory
                    )
                except LinkLost as error:
                    log.warning("publish to %s not confirmed: %s", exchange or key, error)
                    parcel.maybe_sent()
                    refusals += _about_message(error, exchange)
                else:
                    if placed is not Placed.REFUSED:
                        return placed
                    refusals += 1
                await asyncio.sleep(backoff.next())
        return Placed.REFUSED

    @property
    def _stalled(self) -> bool:
        """A confirm is overdue, and no other has come meanwhile."""
        since = max(self._oldest(), self._answered)
        return asyncio.get_running_loop().time() - since > self._stalled_after

    def _oldest(self) -> float:
        """Return since when a confirm is awaited; infinity if none is."""
        return next(iter(self._unconfirmed.values()), float("inf"))

    async def _open(self) -> Channel:
        if self._channel is not None and not self._channel.lost:
            return self._channel
        async with self._opening:
            if self._channel is None or self._channel.lost:
                if self._missing:
                    await self._link.repair()
                    self._missing = False
                session = await self._link.session()
                self._channel = await session.channel(confirms=True)
                self._watching = asyncio.create_task(self._watch(self._channel))
        return self._channel

    async def _watch(self, channel: Channel) -> None:
        """Give up a channel over which a confirm is long overdue, but not for an alarm."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not channel.lost:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._stalled_after):
                    await channel.lost.wait()
            now = loop.time()
            if self._link.blocked:
                since = now
            elif now - max(since, self._oldest()) >= self._patience and not channel.lost:
                channel.lost.tell(f"no confirm for {self._patience:g} s")
                await channel.close()


def _about_message(error: LinkLost, exchange: str) -> bool:
    """Tell whether a channel error is a verdict on the message: it would be the same every time.

    It is larger than allowed, or to a queue that its producer named and we may not write to. A
    right to an exchange of our own that was taken away is given back.
    """
    return error.code == PRECONDITION_FAILED or (error.code == ACCESS_REFUSED and not exchange)
