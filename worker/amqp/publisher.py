"""Publishes replies: once to the hub, and to ``reply_to`` where a job names one.

The hub is one standing exchange, so a publish to it can never be a 404 that fails every other
task on the channel. ``reply_to`` has an outlet of its own, so that nothing a producer writes
there can disturb the hub.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from typing import Any

from worker.amqp.link import Link
from worker.amqp.messages import reply_message
from worker.amqp.outlet import Outlet, Placed
from worker.amqp.session import Channel
from worker.core import headers as h
from worker.core.errors import LinkLost
from worker.core.reply import Reply
from worker.core.topology import HUB, UNCLAIMED

WINDOW = 64
"""Updates whose confirm may be awaited at once, over all tasks."""
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
log = logging.getLogger(__name__)


class ReplyPublisher:
    """Implements :class:`worker.relay.ports.Publisher` over one link."""

    def __init__(self, link: Link) -> None:
        self._hub = Outlet(link)
        self._direct = Outlet(link)
        self._window = asyncio.Semaphore(WINDOW)
        self._unconfirmed: set[asyncio.Task[None]] = set()

    @property
    def possible(self) -> bool:
        """Publishing is possible now, as far as is known; what ``reply_to`` names is not asked."""
        return self._hub.possible

    async def ready(self) -> None:
        """Return once publishing is possible."""
        while not self._hub.possible:
            await self._hub.ready()
            await self._hub.unstalled()

    async def update(self, reply: Reply) -> None:
        """Publish an update, without waiting for its confirm.

        It is published once: should it get lost with the link, the next one has its text.
        """
        hub = await self._hub.ready()
        direct = await self._direct.ready() if reply.address.reply_to is not None else None
        await self._window.acquire()
        publishes = [asyncio.create_task(publish) for publish in self._once(reply, hub, direct)]
        task = asyncio.create_task(self._confirmed(reply, publishes))
        self._unconfirmed.add(task)
        task.add_done_callback(self._unconfirmed.discard)

    async def announce(self, reply: Reply) -> None:
        """Publish a reply that ends nothing, and wait for its confirm."""
        await asyncio.gather(*self._places(reply, mandatory=False))

    async def terminal(self, reply: Reply) -> None:
        """Publish a terminal reply, until the broker has confirmed that somebody has it."""
        placed = await asyncio.gather(*self._places(reply, mandatory=True))
        if Placed.REFUSED in placed:
            await self._keep_unclaimed(reply, Placed.REFUSED)
        elif placed and Placed.KEPT not in placed:
            await self._keep_unclaimed(reply, Placed.UNROUTED)

    async def aclose(self) -> None:
        """Give up the updates whose confirm has not come."""
        for task in self._unconfirmed:
            task.cancel()
        await asyncio.gather(*self._unconfirmed, return_exceptions=True)

    def _once(
        self, reply: Reply, hub: Channel, direct: Channel | None
    ) -> Iterator[Coroutine[Any, Any, Placed]]:
        """Publish an update over these channels or not at all."""
        if reply.on_hub:
            yield self._hub.publish_over(
                hub, HUB, reply.routing_key, reply_message(reply), mandatory=False
            )
        to = reply.address.reply_to
        if to is not None and direct is not None:
            yield self._direct.publish_over(direct, "", to, reply_message(reply), mandatory=False)

    def _places(self, reply: Reply, *, mandatory: bool) -> Iterator[Coroutine[Any, Any, Placed]]:
        """Publish a reply wherever it goes, for as long as it takes."""
        if reply.on_hub:
            yield self._hub.place(HUB, reply.routing_key, reply_message(reply), mandatory=mandatory)
        to = reply.address.reply_to
        if to is not None:
            # The broker returns every mandatory publish to a direct reply-to queue.
            sure = mandatory and not to.startswith(DIRECT_REPLY_TO)
            yield self._direct.place("", to, reply_message(reply), mandatory=sure)

    async def _confirmed(self, reply: Reply, publishes: list[asyncio.Task[Placed]]) -> None:
        try:
            with suppress(LinkLost):  # it went with the link; the next one has its text
                await asyncio.gather(*publishes)
        finally:
            self._window.release()

    async def _keep_unclaimed(self, reply: Reply, why: Placed) -> None:
        log.warning("reply %s: %s, kept in %s", reply.message_id, why.value, UNCLAIMED)
        extra = {h.UNCLAIMED_REASON: why.value, h.UNCLAIMED_KEY: reply.routing_key}
        await self._direct.place_surely("", UNCLAIMED, reply_message(reply, extra))
