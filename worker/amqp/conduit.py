"""The channel that is published over now: opened when needed, and again after a loss."""

import asyncio
from contextlib import suppress
from time import monotonic

from worker.amqp.backoff import Backoff
from worker.amqp.choice import Choice
from worker.amqp.link import Link
from worker.amqp.publishing import Publishing
from worker.core.errors import LinkLost

PUBLISH_TIMEOUT = 60.0
"""Seconds without a confirm after which a channel is given up; the outcome is then unknown."""
STALLED = 5.0
"""Seconds without a confirm after which publishing counts as not possible: an alarm that the
broker has not told us of, or a broker that hangs."""
WINDOW = 4096
"""Updates whose confirm may be awaited at once, over all tasks. Waiting for room costs more than an
update does; but a final waits behind as many: half a second of a slow broker."""
SHORT_LIFE = 1.0
LOOK = 0.005
"""Seconds for which what was seen of the link is believed: looking costs more than an update."""


class Conduit:
    """One channel of a link at a time, and what is known of it.

    Args:
        link: the connection.
        choice: how to publish.
        window: how many updates may be unconfirmed at once.
        patience: seconds without a confirm after which a channel is given up, unless the broker
            has blocked the connection: what it was sent before it takes after the alarm, and
            publishing it again would make it two.
        stalled: seconds without a confirm after which publishing is not possible.

    Attributes:
        current: what updates are published over; None while no channel is open.
        missing: something that should stand on the broker was not found.
    """

    def __init__(
        self, link: Link, choice: Choice, window: int, patience: float, stalled: float
    ) -> None:
        self.link = link
        self.current: Publishing | None = None
        self.missing = False
        self._choice = choice
        self._window = window
        self._patience = patience
        self._stalled_after = stalled
        self._opening = asyncio.Lock()
        self._looked = float("-inf")
        self._flows = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def possible(self) -> bool:
        """An update may be published now, over :attr:`current`; cheap."""
        return self._possible()

    @property
    def held_up(self) -> bool:
        """Nothing can be published for a while, as far as is known: no link, or no confirms."""
        return not self._flowing()

    @property
    def pending(self) -> int:
        """How much is published over the current channel and not yet confirmed."""
        current = self.current
        return 0 if current is None else current.tally.updates + current.tally.awaited

    async def ready(self) -> Publishing:
        """Wait until there is a channel and the broker takes publishes; return what to use."""
        if self.current is not None and self._flowing():
            return self.current
        backoff = Backoff()
        while True:
            try:
                publishing = await self.open()
                await (await self.link.session()).flowing()
            except LinkLost:
                await asyncio.sleep(backoff.next())
            else:
                if not publishing.channel.lost:
                    return publishing

    async def keep_open(self) -> None:
        """Open a channel whenever none is, until cancelled; not at once if it went at once."""
        backoff = Backoff()
        while True:
            publishing = await self.ready()
            opened = monotonic()
            await publishing.channel.lost.wait()
            if monotonic() - opened > SHORT_LIFE:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next())

    async def roomy(self) -> None:
        """Wait until an update may be published."""
        while not self._possible():
            publishing = self.current
            if publishing is None or publishing.room:
                publishing = await self.ready()
                self._looked = float("-inf")
                if self._possible():
                    return
            await publishing.tally.turn()

    async def open(self) -> Publishing:
        """Return what to publish over; opens a channel if none is open.

        Raises:
            LinkLost: the connection went meanwhile.
        """
        async with self._opening:
            return self.current or await self._opened()

    def _possible(self) -> bool:
        current = self.current
        if current is None or not current.room:
            return False
        return self._flowing()

    def _flowing(self) -> bool:
        now = monotonic()
        if now - self._looked >= LOOK:
            self._looked, self._flows = now, self._flows_now()
        return self._flows

    def _flows_now(self) -> bool:
        if not self.link.up or self.link.blocked:
            return False
        return self.current is None or not self.current.tally.overdue(self._stalled_after)

    async def _opened(self) -> Publishing:
        if self.missing:
            await self.link.repair()
            self.missing = False
        session = await self.link.session()
        method = await self._choice.method(session)
        channel = await session.channel(confirms=True)
        opened = self.current = method(channel, self._window)

        def lost() -> None:
            self.current = None
            opened.tally.close()

        channel.lost.when(lost)
        self._watching = asyncio.create_task(self._watch(opened))
        return opened

    async def _watch(self, publishing: Publishing) -> None:
        """Give up a channel over which a confirm is long overdue, but not for an alarm."""
        since, channel = monotonic(), publishing.channel
        while not channel.lost:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._stalled_after):
                    await channel.lost.wait()
            now = monotonic()
            if self.link.blocked:
                since = now
            elif now - max(since, publishing.oldest()) >= self._patience and not channel.lost:
                channel.lost.tell(f"no confirm for {self._patience:g} s")
                await channel.close()
