"""A confirm channel that heals itself: what is published here is confirmed, returned or refused.

Order: publishes that are started one after another leave in that order, however many confirms
are still awaited.
"""

import asyncio
import logging
from contextlib import suppress
from enum import Enum

from aio_pika import Message
from aio_pika.exceptions import DeliveryError, PublishError

from worker.amqp.guard import guarded
from worker.amqp.link import Channel, Link
from worker.core.errors import LinkLost

PUBLISH_TIMEOUT = 60.0
"""Seconds without a confirm after which a channel is given up; the outcome is then unknown."""
REFUSALS = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
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

    async def ready(self) -> None:
        """Wait until publishing is possible; the channel may get lost again at once."""
        with suppress(LinkLost):
            await self._open()

    async def publish(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = True
    ) -> Placed:
        """Publish once.

        Raises:
            LinkLost: the outcome is unknown; publish it again with the same message id.
        """
        channel = await self._open()
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
            raise
        return Placed.KEPT

    async def place(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = True
    ) -> Placed:
        """Publish until the outcome is known, over as many channels as it takes.

        A refusal (a full queue) is tried three times.
        """
        refusals, pause = 0, FIRST_PAUSE
        while True:
            try:
                placed = await self.publish(exchange, key, message, mandatory=mandatory)
            except LinkLost as error:
                log.warning("publish to %s not confirmed, trying again: %s", exchange, error)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                refusals += placed is Placed.REFUSED
                if placed is not Placed.REFUSED or refusals == REFUSALS:
                    return placed
            await asyncio.sleep(pause)

    async def _open(self) -> Channel:
        if self._channel is not None and not self._channel.lost:
            return self._channel
        async with self._opening:
            if self._channel is None or self._channel.lost:
                session = await self._link.session()
                self._channel = await session.channel(confirms=True)
        return self._channel
