"""Publishes replies: once to the hub, and to ``reply_to`` where a job names one.

The hub is one standing exchange, so a publish to it can never be a 404 that fails every other
task on the channel. ``reply_to`` has an outlet of its own, so that nothing a producer writes
there can disturb the hub.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from worker.amqp.choice import PLAIN, Choice
from worker.amqp.conduit import WINDOW
from worker.amqp.link import Link
from worker.amqp.outlet import Outlet, Placed
from worker.core import headers as h
from worker.core.job import Address
from worker.core.reply import Reply, ReplyKind
from worker.core.topology import HUB, UNCLAIMED
from worker.telemetry.metrics import Metrics

DIRECT_WINDOW = 2 * WINDOW
"""Wider than that of the hub: only a queue of some ``reply_to`` that confirms nothing fills it."""
DIRECT_REPLY_TO = "amq.rabbitmq.reply-to."
log = logging.getLogger(__name__)


class ReplyPublisher:
    """Implements :class:`worker.relay.ports.Publisher` over one link.

    Args:
        link: the connection.
        choice: how to publish.
        metrics: what is counted.
    """

    def __init__(self, link: Link, choice: Choice = PLAIN, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._hub = Outlet(link, choice)
        self._direct = Outlet(link, choice, DIRECT_WINDOW)
        self._keeping: asyncio.Task[None] | None = None
        self._crowded = False

    @property
    def possible(self) -> bool:
        """Publishing is possible now, as far as is known; what ``reply_to`` names is not asked."""
        return self._hub.possible

    @property
    def held_up(self) -> bool:
        """Publishing will not be possible for a while, as far as is known."""
        return self._hub.held_up

    @property
    def pending(self) -> int:
        """How many replies are published and not yet confirmed."""
        return self._hub.pending + self._direct.pending

    async def ready(self) -> None:
        """Return once publishing is possible."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._direct.keep_open())
            await self._direct.ready()  # or the first updates would be without it
        await self._hub.roomy()

    def update(self, reply: Reply) -> None:
        """Publish an update, without waiting for its confirm.

        It is published once: should it get lost with the link, the next one has its text.
        """
        self._metrics.sent(ReplyKind.UPDATE)
        hub = self._hub.current
        if reply.on_hub and hub is not None:
            hub.update(reply, _on_hub)
        if reply.address.reply_to is not None:
            self._update_directly(reply)

    async def announce(self, reply: Reply) -> None:
        """Publish a reply that ends nothing, and wait for its confirm."""
        self._metrics.sent(reply.kind)
        await _all(self._places(reply, mandatory=False))

    async def terminal(self, reply: Reply) -> None:
        """Publish a terminal reply, until the broker has confirmed that somebody has it."""
        self._metrics.sent(reply.kind)
        self._forget(reply.address)
        placed = await _all(self._places(reply, mandatory=True))
        if Placed.REFUSED in placed:
            await self._keep_unclaimed(reply, Placed.REFUSED)
        elif placed and Placed.KEPT not in placed:
            await self._keep_unclaimed(reply, Placed.UNROUTED)

    async def aclose(self) -> None:
        """Keep nothing open any more; the updates whose confirm has not come are given up."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    def _update_directly(self, reply: Reply) -> None:
        """Publish an update to ``reply_to``, unless it has no channel now or does not keep up."""
        direct = self._direct.current
        if direct is None:
            return
        if direct.room:
            direct.update(reply, _directly)
        elif not self._crowded:
            log.warning("reply_to of job %s and others: updates left out", reply.address.job_id)
        self._crowded = not direct.room

    def _forget(self, address: Address) -> None:
        for outlet in (self._hub, self._direct):
            if outlet.current is not None:
                outlet.current.forget(address)

    def _places(self, reply: Reply, *, mandatory: bool) -> Iterator[Coroutine[Any, Any, Placed]]:
        """Publish a reply wherever it goes, for as long as it takes."""
        if reply.on_hub:
            yield self._hub.place(*_on_hub(reply), reply, mandatory=mandatory)
        to = reply.address.reply_to
        if to is not None:
            # The broker returns every mandatory publish to a direct reply-to queue.
            sure = mandatory and not to.startswith(DIRECT_REPLY_TO)
            yield self._direct.place("", to, reply, mandatory=sure)

    async def _keep_unclaimed(self, reply: Reply, why: Placed) -> None:
        self._metrics.unclaimed("refused" if why is Placed.REFUSED else "unrouted")
        log.warning("reply %s: %s, kept in %s", reply.message_id, why.value, UNCLAIMED)
        extra = {h.UNCLAIMED_REASON: why.value, h.UNCLAIMED_KEY: reply.routing_key}
        await self._direct.place_surely("", UNCLAIMED, reply.noting(extra))


async def _all(placing: Iterable[Coroutine[Any, Any, Placed]]) -> Sequence[Placed]:
    """Await all at once; most often it is one, for which no task is needed."""
    places = list(placing)
    return await asyncio.gather(*places) if len(places) > 1 else [await each for each in places]


def _on_hub(reply: Reply) -> tuple[str, str]:
    return HUB, reply.routing_key


def _directly(reply: Reply) -> tuple[str, str]:
    return "", reply.address.reply_to or ""
