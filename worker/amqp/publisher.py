"""Publishes replies: once to the hub, and to ``reply_to`` where a job names one.

The hub is one standing exchange, so a publish to it can never be a 404 that fails every other
task on the channel. ``reply_to`` has an outlet of its own, so that nothing a producer writes
there can disturb the hub.
"""

import asyncio
import logging

from worker.amqp.link import Link
from worker.amqp.messages import reply_message
from worker.amqp.outlet import Outlet, Placed
from worker.core.errors import LinkLost
from worker.core.reply import Reply
from worker.core.topology import HUB, UNCLAIMED

WINDOW = 64
"""Updates whose confirm may be awaited at once, over all tasks."""
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
UNCLAIMED_REASON = "aui-unclaimed-reason"
UNCLAIMED_KEY = "aui-unclaimed-key"
log = logging.getLogger(__name__)


class ReplyPublisher:
    """Implements :class:`worker.relay.ports.Publisher` over one link."""

    def __init__(self, link: Link) -> None:
        self._hub = Outlet(link)
        self._direct = Outlet(link)
        self._window = asyncio.Semaphore(WINDOW)
        self._unconfirmed: set[asyncio.Task[None]] = set()
        self.unclaimed = 0

    async def update(self, reply: Reply) -> None:
        """Publish an update, without waiting for its confirm."""
        await self._hub.ready()
        if reply.address.reply_to is not None:
            await self._direct.ready()
        await self._window.acquire()
        task = asyncio.create_task(self._confirmed(reply, self._once(reply)))
        self._unconfirmed.add(task)
        task.add_done_callback(self._unconfirmed.discard)

    async def announce(self, reply: Reply) -> None:
        """Publish a reply that ends nothing, and wait for its confirm."""
        await asyncio.gather(*self._both(reply, mandatory=False))

    async def terminal(self, reply: Reply) -> None:
        """Publish a terminal reply, until the broker has confirmed that somebody has it."""
        placed = await asyncio.gather(*self._both(reply, mandatory=True))
        if placed and Placed.KEPT not in placed:
            await self._keep_unclaimed(reply, placed)

    def _both(self, reply: Reply, *, mandatory: bool) -> list["asyncio.Task[Placed]"]:
        """Start the publishes of a reply, behind all that were started before."""
        message = reply_message(reply)
        tasks = []
        if reply.on_hub:
            place = self._hub.place(HUB, reply.routing_key, message, mandatory=mandatory)
            tasks.append(asyncio.create_task(place))
        to = reply.address.reply_to
        if to is not None:
            # The broker returns every mandatory publish to a direct reply-to queue.
            sure = mandatory and not to.startswith(DIRECT_REPLY_TO)
            place = self._direct.place("", to, reply_message(reply), mandatory=sure)
            tasks.append(asyncio.create_task(place))
        return tasks

    def _once(self, reply: Reply) -> list["asyncio.Task[Placed]"]:
        """Start to publish an update, behind all that was started before, and only once.

        Should it get lost with the link, the next one has its text.
        """
        message, to, tasks = reply_message(reply), reply.address.reply_to, []
        if reply.on_hub:
            publish = self._hub.publish(HUB, reply.routing_key, message, mandatory=False)
            tasks.append(asyncio.create_task(publish))
        if to is not None:
            publish = self._direct.publish("", to, reply_message(reply), mandatory=False)
            tasks.append(asyncio.create_task(publish))
        return tasks

    async def _confirmed(self, reply: Reply, publishes: list["asyncio.Task[Placed]"]) -> None:
        try:
            await asyncio.gather(*publishes)
        except LinkLost as error:
            log.debug("update %s lost: %s", reply.message_id, error)
        finally:
            self._window.release()

    async def _keep_unclaimed(self, reply: Reply, placed: list[Placed]) -> None:
        self.unclaimed += 1
        reason = "refused" if Placed.REFUSED in placed else "unrouted"
        extra = {UNCLAIMED_REASON: reason, UNCLAIMED_KEY: reply.routing_key}
        await self._direct.place("", UNCLAIMED, reply_message(reply, extra))
