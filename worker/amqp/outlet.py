"""A confirm channel that heals itself: what is published here is confirmed, returned or refused.

Order: publishes that are started one after another leave in that order, however many confirms
are still awaited.
"""

import asyncio
import logging
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
REFUSALS = 3
_VERDICTS = (ACCESS_REFUSED, PRECONDITION_FAILED)
"""Channel errors that are about the message: no right to write there, larger than allowed."""
log = logging.getLogger(__name__)


class Placed(Enum):
    """What the broker did with a publish."""

    KEPT = "kept"
    UNROUTED = "unrouted"
    REFUSED = "refused"


class Outlet:
    """Publishes over one channel of a link, opened when needed and again after a loss.

    Args:
        link: the connection.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._alone = Alone()
        self._missing = False

    async def ready(self) -> Channel:
        """Wait until publishing is possible, and return the channel for it."""
        backoff = Backoff()
        while True:
            try:
                return await self._open()
            except LinkLost:
                await asyncio.sleep(backoff.next())

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
        try:
            await guarded(
                target.publish(message, key, mandatory=mandatory, timeout=PUBLISH_TIMEOUT)
            )
        except PublishError:
            return Placed.UNROUTED
        except DeliveryError:
            return Placed.REFUSED
        except LinkLost as error:
            if isinstance(error.__cause__, TimeoutError):
                await channel.close()
            self._missing = self._missing or error.code == NOT_FOUND
            raise
        return Placed.KEPT

    async def place(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = True
    ) -> Placed:
        """Publish until the outcome is known, over as many channels as it takes.

        A refusal (a full queue, a missing right, a message above the broker's limit) is tried
        three times.
        """
        async with self._alone.by(message.message_id if mandatory else None):
            return await self._place(exchange, key, message, mandatory=mandatory)

    async def _place(self, exchange: str, key: str, message: Message, *, mandatory: bool) -> Placed:
        refusals, backoff = 0, Backoff()
        while refusals < REFUSALS:
            try:
                placed = await self.publish(exchange, key, message, mandatory=mandatory)
            except LinkLost as error:
                log.warning("publish to %s not confirmed: %s", exchange or key, error)
                refusals += error.code in _VERDICTS
            else:
                if placed is not Placed.REFUSED:
                    return placed
                refusals += 1
            await asyncio.sleep(backoff.next())
        return Placed.REFUSED

    async def place_surely(self, exchange: str, key: str, message: Message) -> None:
        """Publish until the broker keeps it, however long a topology stays broken or full."""
        backoff = Backoff()
        while (placed := await self.place(exchange, key, message)) is not Placed.KEPT:
            log.error("%s %s: %s; the job waits unacked", exchange, key, placed.value)
            if placed is Placed.UNROUTED:
                await self._link.repair()
            await asyncio.sleep(backoff.next())

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
        return self._channel
