"""One connection and its channels, from the moment they are up until they are lost.

Whoever works over a :class:`Session` or a :class:`Channel` is told of its loss, by name and with
the reason, and never finds it mended behind its back.
"""

import asyncio
import logging
from collections.abc import Callable

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as UnderlayChannel

from worker.amqp.guard import guarded, words_of
from worker.core.errors import LinkLost

log = logging.getLogger(__name__)


class Loss:
    """An event that happens once: the link or channel is gone, and why."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.why: str | None = None
        self._event = asyncio.Event()
        self._then = then

    def __bool__(self) -> bool:
        return self._event.is_set()

    def tell(self, why: str) -> None:
        """Declare it lost; only the first reason counts."""
        if not self._event.is_set():
            self.why = why
            self._event.set()
            self._then()

    async def wait(self) -> None:
        """Return once it is lost."""
        await self._event.wait()


class Channel:
    """One AMQP channel and the news of its loss."""

    def __init__(self, pika: AbstractChannel, raw: UnderlayChannel, loss: Loss) -> None:
        self.pika = pika
        self.raw = raw
        self.lost = loss

    async def close(self) -> None:
        """Close it; what was delivered over it and not acked goes back to its queue, in order."""
        self.lost.tell("closed by us")
        try:
            await guarded(self.pika.close())
        except LinkLost:
            log.debug("channel was gone before it was closed")


class Session:
    """One connection, from the moment it is up until it is lost."""

    def __init__(self, connection: AbstractConnection, on_loss: Callable[[], None]) -> None:
        self.lost = Loss(on_loss)
        self._connection = connection
        connection.close_callbacks.add(self._closed)

    async def channel(self, *, confirms: bool) -> Channel:
        """Open a channel.

        Raises:
            LinkLost: the connection is gone.
        """
        if self.lost:
            raise LinkLost(self.lost.why or "lost")
        pika = await guarded(self._open(confirms))
        raw = await guarded(pika.get_underlay_channel())
        loss = Loss()

        def closed(_: object, error: BaseException | None) -> None:
            loss.tell(words_of(error) if error else "the channel was closed")

        def cancelled(_: object) -> None:
            loss.tell("the broker cancelled the consumer")

        pika.close_callbacks.add(closed)
        raw.on_consumer_cancel_callbacks.add(cancelled)
        return Channel(pika, raw, loss)

    async def close(self) -> None:
        """Close the connection."""
        self.lost.tell("closed by us")
        try:
            await guarded(self._connection.close())
        except LinkLost:
            log.debug("connection was gone before it was closed")

    async def _open(self, confirms: bool) -> AbstractChannel:
        try:
            channel = self._connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
            await channel.initialize()
        except RuntimeError as error:
            # What a connection raises that is closed and has not yet told us.
            raise LinkLost(words_of(error)) from error
        return channel

    def _closed(self, _: object, error: BaseException | None) -> None:
        self.lost.tell(words_of(error) if error else "the connection was closed")
