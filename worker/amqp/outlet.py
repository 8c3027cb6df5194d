"""Publishes until it is known what became of it: confirmed, returned or refused.

Order: publishes that are started one after another leave in that order, however many confirms
are still awaited.
"""

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum

from aio_pika.exceptions import DeliveryError, PublishError

from worker.amqp.alone import Alone
from worker.amqp.backoff import Backoff
from worker.amqp.choice import PLAIN, Choice
from worker.amqp.conduit import PUBLISH_TIMEOUT, STALLED, WINDOW, Conduit
from worker.amqp.guard import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, guarded
from worker.amqp.link import Link
from worker.amqp.messages import Outgoing
from worker.amqp.publishing import Publishing
from worker.core.errors import LinkLost

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

    message: Outgoing
    again: Outgoing | None = None

    def maybe_sent(self) -> None:
        """Go on with the other one: a confirm was lost."""
        self.message = self.again or self.message


class Outlet(Conduit):
    """Places messages, over one channel after another."""

    def __init__(
        self,
        link: Link,
        choice: Choice = PLAIN,
        window: int = WINDOW,
        patience: float = PUBLISH_TIMEOUT,
        stalled: float = STALLED,
    ) -> None:
        super().__init__(link, choice, window, patience, stalled)
        self._alone = Alone()

    async def publish(
        self, exchange: str, key: str, message: Outgoing, *, mandatory: bool = True
    ) -> Placed:
        """Publish once, over the current channel.

        Raises:
            LinkLost: the outcome is unknown; publish it again with the same message id.
        """
        return await self.publish_over(
            await self.open(), exchange, key, message, mandatory=mandatory
        )

    async def publish_over(
        self, publishing: Publishing, exchange: str, key: str, message: Outgoing, *, mandatory: bool
    ) -> Placed:
        """Publish once, over this channel or not at all: never later, behind its successors.

        Raises:
            LinkLost: the channel is gone, and perhaps the message with it.
        """
        lost = publishing.channel.lost
        if lost:
            raise LinkLost(lost.why or "the channel is gone")
        sent = publishing.publish(exchange, key, message, mandatory=mandatory)
        try:
            await lost.ends(guarded(sent))
        except PublishError:
            return Placed.UNROUTED
        except DeliveryError:
            return Placed.REFUSED
        except LinkLost as error:
            self.missing = self.missing or error.code == NOT_FOUND
            raise
        return Placed.KEPT

    async def place(
        self, exchange: str, key: str, message: Outgoing, *, mandatory: bool = True
    ) -> Placed:
        """Publish until the outcome is known, over as many channels as it takes.

        A refusal (a full queue, a missing right, a message above the broker's limit) is tried
        three times.
        """
        return await self._place(exchange, key, Parcel(message), mandatory=mandatory)

    async def place_surely(
        self, exchange: str, key: str, message: Outgoing, *, again: Outgoing | None = None
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
                await self.link.repair()
            await asyncio.sleep(backoff.next())

    async def _place(
        self, exchange: str, key: str, parcel: Parcel, *, mandatory: bool = True
    ) -> Placed:
        async with self._alone.by(parcel.message.message_id if mandatory else None):
            refusals, backoff = 0, Backoff()
            while refusals < REFUSALS:
                publishing = await self.ready()
                try:
                    placed = await self.publish_over(
                        publishing, exchange, key, parcel.message, mandatory=mandatory
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


def _about_message(error: LinkLost, exchange: str) -> bool:
    """Tell whether a channel error is a verdict on the message: it would be the same every time.

    It is larger than allowed, or to a queue that its producer named and we may not write to. A
    right to an exchange of our own that was taken away is given back.
    """
    return error.code == PRECONDITION_FAILED or (error.code == ACCESS_REFUSED and not exchange)
