"""Keeps the exchange of each task alive while the task is, and no longer.

A task exchange is auto-delete: the broker removes it with its last binding. A *lease* is a
binding to an exclusive queue of this worker with a key that matches nothing; it is taken when
the task is first used and given up when the task has been idle. A worker that dies takes its
lease queues with it, and so every exchange that nobody else is bound to. A lease queue holds 64
leases at the most: tearing down one with thousands stalls a broker for minutes.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from worker.amqp.backoff import Backoff
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.link import Link
from worker.amqp.session import Channel, Session
from worker.core.errors import LinkLost
from worker.core.topology import HUB, LEASE_KEY, task_exchange, task_key

LEASES_PER_QUEUE = 64
TRIES = 5
"""A channel that others broke costs a try too; an error of one's own ends the trying."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """One task's hold on its exchange: who uses it, since when nobody does, and which queue.

    ``bound`` once replies reach the exchange; ``queue`` from the moment it keeps it alive.
    """

    network: str
    task_id: str
    users: int = 0
    idle_since: float = 0.0
    queue: str | None = None
    bound: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def idle(self, since: float) -> bool:
        """Nobody uses it, nor has since then."""
        return not self.users and self.idle_since <= since


class Hold:
    """A use of a task exchange."""

    def __init__(self, owner: "LeasedTaskExchanges", lease: Lease) -> None:
        self._owner = owner
        self._lease = lease

    async def ready(self) -> None:
        """Return once the exchange is there and bound to the hub."""
        await self._owner.ensure(self._lease)


class LeasedTaskExchanges:
    """Implements :class:`worker.relay.ports.TaskExchanges`.

    Args:
        link: the publishing connection; the leases live and die with it.
        worker_id: names the lease queues.
        idle: seconds after its last use at which a task's lease is given up.
    """

    def __init__(self, link: Link, worker_id: str, idle: float) -> None:
        self._link = link
        self._prefix = f"aui.lease.{worker_id}"
        self._idle = idle
        self._leases: dict[tuple[str, str], Lease] = {}
        self._queues: dict[str, int] = {}
        self._session: Session | None = None
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._naming = asyncio.Lock()

    @contextmanager
    def hold(self, network: str, task_id: str) -> Iterator[Hold]:
        """Use a task's exchange; it is kept for a while after the last use."""
        lease = self._leases.setdefault((network, task_id), Lease(network, task_id))
        lease.users += 1
        try:
            yield Hold(self, lease)
        finally:
            lease.users -= 1
            lease.idle_since = asyncio.get_running_loop().time()

    async def ensure(self, lease: Lease) -> None:
        """Make the exchange unless it stands; a failure is logged, for the hub works without."""
        backoff, problem = Backoff(), LinkLost("not tried")
        for _ in range(TRIES):
            channel = await self._open()
            async with lease.lock:
                if lease.bound:
                    return
                try:
                    await self._make(channel, lease)
                except LinkLost as error:
                    problem = error
                else:
                    return
            if problem.code not in (None, NOT_FOUND):
                break
            if problem.code == NOT_FOUND:
                await self._link.repair()
            await asyncio.sleep(backoff.next())
        log.warning("exchange of task %s: %s", lease.task_id, problem)

    async def run(self) -> None:
        """Give up idle leases, and renew the held ones after a loss, until cancelled."""
        while True:
            channel = await self._open()
            await asyncio.gather(*(self.ensure(lease) for lease in self._held()))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle / 4):
                    await channel.lost.wait()
            if not channel.lost:
                await self._sweep(channel)

    def _held(self) -> list[Lease]:
        return [lease for lease in self._leases.values() if lease.users]

    async def _open(self) -> Channel:
        """Return the channel; the leases of an earlier connection went with it."""
        async with self._opening:
            backoff = Backoff()
            while self._channel is None or self._channel.lost:
                session = await self._link.session()
                try:
                    channel = await session.channel(confirms=False)
                except LinkLost:
                    await asyncio.sleep(backoff.next())
                    continue
                if session is not self._session:
                    self._forget()
                self._session, self._channel = session, channel
        return self._channel

    def _forget(self) -> None:
        self._queues.clear()
        for key, lease in list(self._leases.items()):
            lease.queue, lease.bound = None, False
            if not lease.users:
                del self._leases[key]

    async def _make(self, channel: Channel, lease: Lease) -> None:
        """Declare the exchange, lease it and bind it to the hub, all in one round trip."""
        exchange, raw = task_exchange(lease.task_id), channel.raw
        if lease.queue is None:
            lease.queue = await self._reserve(channel)
        try:
            await guarded(
                raw.exchange_declare(
                    exchange.name,
                    exchange_type=exchange.type,
                    durable=exchange.durable,
                    auto_delete=exchange.auto_delete,
                    nowait=True,
                )
            )
            await guarded(raw.queue_bind(lease.queue, exchange.name, LEASE_KEY, nowait=True))
            key = task_key(lease.network, lease.task_id)
            await guarded(raw.exchange_bind(exchange.name, HUB, key))
        except LinkLost as error:
            if error.code == NOT_FOUND:
                # The lease queue may be what somebody deleted: the next lease makes another.
                self._queues.pop(lease.queue, None)
                lease.queue = None
            raise
        lease.bound = True

    async def _reserve(self, channel: Channel) -> str:
        """Take a place in a lease queue, made when none has room.

        Its name ends in a random word: the broker may hold the exclusive queue of this worker's
        earlier life until that connection's heartbeats run out.
        """
        async with self._naming:
            name = next((q for q, n in self._queues.items() if n < LEASES_PER_QUEUE), None)
            if name is None:
                name = f"{self._prefix}.{secrets.token_hex(4)}"
                await guarded(channel.pika.declare_queue(name, exclusive=True))
                self._queues[name] = 0
            self._queues[name] += 1
        return name

    async def _sweep(self, channel: Channel) -> None:
        """Give up the leases of tasks that have been idle."""
        since = asyncio.get_running_loop().time() - self._idle
        for key, lease in list(self._leases.items()):
            async with lease.lock:
                if not lease.idle(since):
                    continue
                try:
                    await self._give_up(channel, lease)
                except LinkLost as error:
                    log.debug("lease of task %s: %s", lease.task_id, error)
                    return
                if lease.idle(since):
                    del self._leases[key]

    async def _give_up(self, channel: Channel, lease: Lease) -> None:
        queue, lease.queue, lease.bound = lease.queue, None, False
        if queue is None:
            return
        name = task_exchange(lease.task_id).name
        await guarded(channel.raw.queue_unbind(queue, name, LEASE_KEY))
        if queue not in self._queues:
            return
        self._queues[queue] -= 1
        if not self._queues[queue]:
            del self._queues[queue]
            await guarded(channel.raw.queue_delete(queue))
