"""The plain way to publish: through aio-pika, a task for each update."""

import asyncio
from contextlib import suppress
from time import monotonic

from aio_pika.exceptions import DeliveryError

from worker.amqp.guard import guarded
from worker.amqp.messages import Outgoing, message_of
from worker.amqp.publishing import Where
from worker.amqp.session import Channel
from worker.amqp.tally import Tally
from worker.core.errors import LinkLost
from worker.core.job import Address
from worker.core.reply import Reply

WINDOW = 64
"""The client library looks at all that is unconfirmed whenever a confirm comes."""


class PlainPublishing:
    """Implements :class:`worker.amqp.publishing.Publishing` with what aio-pika documents."""

    def __init__(self, channel: Channel, window: int) -> None:
        self.channel = channel
        self.tally = Tally(min(window, WINDOW), monotonic)
        self._since: dict[object, float] = {}
        self._updates: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> bool:
        """Another update may be published."""
        return self.tally.room

    def update(self, reply: Reply, where: Where) -> None:
        """Publish an update, in a task that ends with its confirm or its channel."""
        self.tally.sent()
        task = asyncio.create_task(self._update(reply, *where(reply)))
        self._updates.add(task)
        task.add_done_callback(self._updates.discard)

    async def publish(self, exchange: str, key: str, message: Outgoing, *, mandatory: bool) -> None:
        """Publish a message; returns when the broker has confirmed it."""
        with self.tally.awaiting() as heard:
            publishing = self._publish(exchange, key, message, mandatory=mandatory)
            try:
                # Behind the tasks of the updates before it, which may not have begun.
                await (asyncio.create_task(publishing) if self._updates else publishing)
            except DeliveryError:
                heard()
                raise
            heard()

    def forget(self, address: Address) -> None:
        """Nothing is known of any job."""

    def oldest(self) -> float:
        """Return since when a confirm is awaited."""
        return next(iter(self._since.values()), float("inf"))

    async def _update(self, reply: Reply, exchange: str, key: str) -> None:
        answered = False
        try:
            with suppress(DeliveryError, LinkLost):
                publishing = self._publish(exchange, key, reply, mandatory=False)
                await self.channel.lost.ends(guarded(publishing))
                answered = True
        finally:
            (self.tally.confirmed if answered else self.tally.given_up)()

    async def _publish(
        self, exchange: str, key: str, message: Outgoing, *, mandatory: bool
    ) -> None:
        target = await self.channel.pika.get_exchange(exchange, ensure=False)
        token = object()
        self._since[token] = monotonic()
        try:
            await target.publish(message_of(message), key, mandatory=mandatory)
        finally:
            del self._since[token]
