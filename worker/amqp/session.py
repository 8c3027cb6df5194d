"""One connection and its channels, from the moment they are up until they are lost.

Whoever works over a :class:`Session` or a :class:`Channel` is told of its loss, by name and with
the reason, and never finds it mended behind its back.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as UnderlayChannel

from worker.amqp.guard import guarded, words_of
from worker.amqp.loss import Loss
from worker.amqp.pulse import Pulse
from worker.core.errors import LinkLost

log = logging.getLogger(__name__)


class Channel:
    """One AMQP channel and the news of its loss."""

    def __init__(
        self,
        pika: AbstractChannel,
        raw: UnderlayChannel,
        loss: Loss,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.pika = pika
        self.raw = raw
        self.lost = loss
        self.check = check
        """Declares it lost if the broker has been silent for too long."""

    async def close(self) -> None:
        """Close it; what was delivered over it and not acked goes back to its queue, in order.

        Acks that were sent before reach the broker first: they leave over the same queue.
        """
        self.lost.tell("closed by us")
        closing = asyncio.create_task(guarded(self.pika.close()))
        # Whoever closes it may be cancelled before it is known how that ended.
        closing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            await asyncio.shield(closing)
        except LinkLost:
            log.debug("channel was gone before it was closed")
        finally:
            # Cut short, the library would send another close, for which the broker ends the
            # whole connection, and forgets acks that it has not come to yet.
            await asyncio.wait({closing})


class Session:
    """One connection, from the moment it is up until it is lost."""

    def __init__(self, connection: AbstractConnection, on_loss: Callable[[], None]) -> None:
        self.lost = Loss()
        self.lost.when(on_loss)
        self.pulse: Pulse | None = None
        self._connection = connection
        connection.close_callbacks.add(self._closed)

    @property
    def server(self) -> tuple[str, str]:
        """The broker's product and version, in its own words; empty where it does not say."""
        transport = self._connection.transport
        said = {} if transport is None else transport.connection.server_properties
        return str(said.get("product", "")), str(said.get("version", ""))

    @property
    def blocked(self) -> bool:
        """The broker has said that it takes no publishes now: it is short of memory or disk.

        It says so to a connection that publishes during the alarm, not before. The client
        library shows it only as a coroutine that ends at once, or waits for the end of the alarm.
        """
        transport = self._connection.transport
        if self.lost or transport is None:
            return False
        unblocked = transport.connection.ready().__await__()
        try:
            next(unblocked)
        except StopIteration:
            return False
        except (RuntimeError, AttributeError):
            # It would wait, but an exporter asks from a thread without an event loop to wait on.
            return True
        finally:
            unblocked.close()
        return True

    async def flowing(self) -> None:
        """Return once the broker takes publishes.

        Raises:
            LinkLost: the connection is gone.
        """
        transport = self._connection.transport
        if self.lost or transport is None:
            raise LinkLost(self.lost.why or "lost")
        if self.blocked:
            await self.lost.ends(guarded(transport.connection.ready()))

    async def channel(self, *, confirms: bool) -> Channel:
        """Open a channel; waits for the end of an alarm.

        Raises:
            LinkLost: the connection is gone.
        """
        if self.lost:
            raise LinkLost(self.lost.why or "lost")
        pika = await self.lost.ends(guarded(self._open(confirms)))
        raw = await guarded(pika.get_underlay_channel())
        # The library reads a connection no further while ten frames of one channel wait: what the
        # broker answers would stay behind a thousand deliveries. The prefetch bounds them.
        raw.frames._maxsize = 0  # type: ignore[attr-defined]  # noqa: SLF001
        loss = Loss()

        def closed(_: object, error: BaseException | None) -> None:
            loss.tell(words_of(error) if error else "the channel was closed")

        def cancelled(_: object) -> None:
            loss.tell("the broker cancelled the consumer")

        pika.close_callbacks.add(closed)
        raw.on_consumer_cancel_callbacks.add(cancelled)
        # A dead connection takes a while to be closed; nothing may be begun over it meanwhile.
        loss.when(self.lost.when(lambda: loss.tell(self.lost.why or "lost")))
        return Channel(pika, raw, loss, self.check)

    def check(self) -> None:
        """Declare it lost if the broker has been silent for too long."""
        if self.pulse is not None:
            self.pulse.check()

    async def feel_pulse(self, heartbeat: float) -> None:
        """Declare it lost as soon as the broker falls silent; runs until then, or cancelled."""
        try:
            raw = (await self.channel(confirms=False)).raw
        except LinkLost:
            return
        ask = partial(raw.basic_qos, prefetch_count=0)
        # Not the event loop's clock: uvloop's stands still while callbacks run.
        self.pulse = Pulse(lambda: guarded(ask()), self.lost.tell, heartbeat, time.monotonic)
        await self.pulse.run()

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
