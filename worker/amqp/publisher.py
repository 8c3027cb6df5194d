"""Publishes replies: once to the hub, and to ``reply_to`` where a job names one.

The hub is one standing exchange, so a publish to it can never be a 404 that fails every other
task on the channel. ``reply_to`` has an outlet of its own, so that nothing a producer writes
there can disturb the hub.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from aio_pika import Message

from worker.amqp.link import Link
from worker.amqp.messages import reply_message
from worker.amqp.outlet import Outlet, Placed
from worker.core import headers as h
from worker.core.errors import LinkLost
from worker.core.reply import Reply
from worker.core.topology import HUB, UNCLAIMED

WINDOW = 64
"""Updates whose confirm may be awaited at once, over all tasks."""
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
log = logging.getLogger(__name__)

Publish = Callable[[Outlet], Callable[..., Coroutine[Any, Any, Placed]]]


class ReplyPublisher:
    """Implements :class:`worker.relay.ports.Publisher` over one link."""

    def __init__(self, link: Link) -> None:
        self._hub = Outlet(link)
        self._direct = Outlet(link)
        self._window = asyncio.Semaphore(WINDOW)
        self._unconfirmed: set[asyncio.Task[None]] = set()

    async def update(self, reply: Reply) -> None:
        """Publish an update, without waiting for its confirm.

        It is published once: should it get lost with the link, the next one has its text.
        """
        await self._hub.ready()
        if reply.address.reply_to is not None:
            await self._direct.ready()
        await self._window.acquire()
        publishes = self._start(reply, lambda outlet: outlet.publish, mandatory=False)
        task = asyncio.create_task(self._confirmed(reply, publishes))
        self._unconfirmed.add(task)
        task.add_done_callback(self._unconfirmed.discard)

    async def announce(self, reply: Reply) -> None:
        """Publish a reply that ends nothing, and wait for its confirm."""
        await asyncio.gather(*self._start(reply, lambda outlet: outlet.place, mandatory=False))

    async def terminal(self, reply: Reply) -> None:
        """Publish a terminal reply, until the broker has confirmed that somebody has it."""
        publishes = self._start(reply, lambda outlet: outlet.place, mandatory=True)
        placed = await asyncio.gather(*publishes)
        if Placed.REFUSED in placed:
            await self._keep_unclaimed(reply, Placed.REFUSED)
        elif placed and Placed.KEPT not in placed:
            await self._keep_unclaimed(reply, Placed.UNROUTED)

    def _start(self, reply: Reply, how: Publish, *, mandatory: bool) -> list[asyncio.Task[Placed]]:
        """Start to publish a reply wherever it goes, behind all that was started before."""
        tasks = []
        if reply.on_hub:
            publish = how(self._hub)
            hub = publish(HUB, reply.routing_key, reply_message(reply), mandatory=mandatory)
            tasks.append(asyncio.create_task(hub))
        to = reply.address.reply_to
        if to is not None:
            # The broker returns every mandatory publish to a direct reply-to queue.
            sure = mandatory and not to.startswith(DIRECT_REPLY_TO)
            publish = how(self._direct)
            direct = publish("", to, reply_message(reply), mandatory=sure)
            tasks.append(asyncio.create_task(direct))
        return tasks

    async def _confirmed(self, reply: Reply, publishes: list[asyncio.Task[Placed]]) -> None:
        try:
            await asyncio.gather(*publishes)
        except LinkLost as error:
            log.debug("update %s lost: %s", reply.message_id, error)
        finally:
            self._window.release()

    async def _keep_unclaimed(self, reply: Reply, why: Placed) -> None:
        log.warning("reply %s: %s, kept in %s", reply.message_id, why.value, UNCLAIMED)
        extra = {h.UNCLAIMED_REASON: why.value, h.UNCLAIMED_KEY: reply.routing_key}
        message: Message = reply_message(reply, extra)
        await self._direct.place_surely("", UNCLAIMED, message)
