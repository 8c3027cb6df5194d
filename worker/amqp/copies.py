"""Publishes copies of jobs: dead letters, and jobs on their way to another queue."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.amqp.link import Link
from worker.amqp.messages import copy_message
from worker.amqp.outlet import FIRST_PAUSE, LONGEST_PAUSE, Outlet, Placed
from worker.core.envelope import Properties
from worker.core.topology import DEAD, jobs_exchange

log = logging.getLogger(__name__)


class JobCopies:
    """Implements :class:`worker.relay.ports.Copies` over one link."""

    def __init__(self, link: Link) -> None:
        self._outlet = Outlet(link)
        self._alone = Alone()

    async def to_dead(self, key: str, body: bytes, properties: Properties) -> None:
        """Keep a dead letter; tries until the broker has it."""
        await self._copy(DEAD, key, body, properties)

    async def to_slot(self, network: str, slot: str, body: bytes, properties: Properties) -> None:
        """Queue a job in the partition of its slot; tries until the broker has it."""
        await self._copy(jobs_exchange(network), slot, body, properties)

    async def _copy(self, exchange: str, key: str, body: bytes, properties: Properties) -> None:
        message = copy_message(body, properties)
        pause = FIRST_PAUSE
        async with self._alone.by(properties.message_id):
            while True:
                placed = await self._outlet.place(exchange, key, message)
                if placed is Placed.KEPT:
                    return
                log.error("%s with key %s: %s; the job waits unacked", exchange, key, placed.value)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)


class Alone:
    """Lets only one publish of a message id travel at a time.

    A copy keeps the id of its job, and the client library tells returned publishes apart by
    that id alone: of two under way, one unroutable would be reported as kept.
    """

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def by(self, message_id: str | None) -> AsyncIterator[None]:
        """Wait until no other publish of that id is under way; a message without one is alone."""
        if message_id is None:
            yield
            return
        lock = self._locks.setdefault(message_id, asyncio.Lock())
        self._users[message_id] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[message_id] -= 1
            if not self._users[message_id]:
                del self._users[message_id], self._locks[message_id]
