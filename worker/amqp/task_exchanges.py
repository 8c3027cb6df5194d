"""Keeps the exchange of each task alive while the task is, and no longer.

A task exchange is auto-delete: the broker removes it with its last binding. A *lease* is a
binding to an exclusive queue of this worker with a key that matches nothing; it is taken when
the task is first used and given up when the task has been idle. A worker that dies takes its
lease queues with it, and so every exchange that nobody else is bound to. A lease queue holds 64
leases at the most: tearing down one with thousands stalls a broker for minutes.
"""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from worker.amqp.backoff import Backoff
from worker.amqp.choice import PLAIN, Choice
from worker.amqp.fast import FastPublishing
from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.leases import Lease, LeaseQueue, Leases
from worker.amqp.leasing import make
from worker.amqp.link import Link
from worker.amqp.session import Channel, Session
from worker.core.errors import LinkLost
from worker.core.topology import LEASE_KEY, task_exchange

TRIES = 5
log = logging.getLogger(__name__)


class Hold:
    """A use of a task exchange, for the length of a context."""

    __slots__ = ("_lease", "_owner")

    def __init__(self, owner: "LeasedTaskExchanges", lease: Lease) -> None:
        self._owner = owner
        self._lease = lease

    def __enter__(self) -> Self:
        self._owner.begin(self._lease)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner.end(self._lease)

    @property
    def stands(self) -> bool:
        """There is nothing to wait for."""
        return self._owner.is_ensured(self._lease)

    async def ready(self) -> None:
        """Return once the exchange is there and bound to the hub, or could not be made."""
        if not self.stands:
            await self._owner.ensured(self._lease)


class LeasedTaskExchanges:
    """Implements :class:`worker.relay.ports.TaskExchanges`, while :meth:`run` runs.

    What comes to be wanted while some are being made is made next, all in one round trip.

    Args:
        link: the publishing connection; the leases live and die with it.
        worker_id: names the lease queues.
        idle: seconds after its last use at which a task's lease is given up.
        choice: how to publish; where that is the fast way, leases are made so, too.
    """

    def __init__(self, link: Link, worker_id: str, idle: float, choice: Choice = PLAIN) -> None:
        self._link = link
        self._idle = idle
        self._choice = choice
        self._leases = Leases(f"aui.lease.{worker_id}")
        self._up = asyncio.Event()
        self._session: Session | None = None
        self._channel: Channel | None = None
        self._sweeping: Channel | None = None
        self._fast = False

    def hold(self, network: str, task_id: str) -> Hold:
        """Use a task's exchange, made from now on; it is kept for a while after the last use."""
        return Hold(self, self._leases.of(network, task_id))

    def begin(self, lease: Lease) -> None:
        """Count a use of a lease, and have it made."""
        lease.users += 1
        self._leases.want(lease)

    def end(self, lease: Lease) -> None:
        """Strike out a use of a lease."""
        lease.users -= 1
        lease.idle_since = asyncio.get_running_loop().time()

    def is_ensured(self, lease: Lease) -> bool:
        """Tell whether a lease that is held is bound, or could not be made."""
        return not lease.wanted and self._up.is_set()

    async def ensured(self, lease: Lease) -> None:
        """Return once a lease that is held is bound, or could not be made; at once if it is."""
        while not self.is_ensured(lease):
            await self._up.wait()
            await lease.settled()

    async def run(self) -> None:
        """Make what is wanted, again after a loss, and give up what is idle, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_now_and_then())
            await self._make_wanted(group)

    async def _make_wanted(self, group: asyncio.TaskGroup) -> None:
        while True:
            channel = await self._open()
            self._leases.stir.clear()
            leases = self._leases.next()
            if not leases:
                await self._leases.stir.wait()
                continue
            try:
                await make(channel, leases, fast=self._fast and not leases[0].alone)
            except LinkLost as error:
                self._channel = None  # it is gone, and may be told to be only later
                self._failed(leases, error, group)
            else:
                for lease in leases:
                    lease.settle(bound=True)

    def _failed(self, leases: Sequence[Lease], error: LinkLost, group: asyncio.TaskGroup) -> None:
        """Have them made again: each alone, for one of them may be what closed the channel.

        What cannot be made alone, either, is logged and left, for the hub works without.
        """
        if len(leases) > 1:
            for lease in leases:
                lease.alone = True
                self._leases.enqueue(lease)
            return
        for lease in leases:
            lease.tries += 1
            if error.code not in (None, NOT_FOUND) or lease.tries >= TRIES:
                log.warning("exchange of task %s: %s", lease.task_id, error)
                lease.settle(bound=False)
                continue
            if error.code == NOT_FOUND and lease.queue is not None:
                lease.queue.stands = False  # it may be what somebody deleted
            group.create_task(self._again(lease, repair=error.code == NOT_FOUND))

    async def _again(self, lease: Lease, *, repair: bool) -> None:
        if repair:
            await self._link.repair()
        await asyncio.sleep(lease.backoff.next())
        self._leases.enqueue(lease)

    async def _open(self) -> Channel:
        """Return the channel; the leases of an earlier connection went with it."""
        backoff = Backoff()
        while self._channel is None or self._channel.lost:
            session = await self._link.session()
            try:
                fast = await self._choice.method(session) is FastPublishing
                channel = await session.channel(confirms=False)
            except LinkLost:
                await asyncio.sleep(backoff.next())
                continue
            self._fast, self._channel = fast, channel
            channel.lost.when(self._leases.stir.set)
            if session is not self._session:
                self._session = session
                self._leases.forget()
                self._up.set()
                session.lost.when(self._up.clear)
        return self._channel

    async def _sweep_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._idle / 4)
            try:
                await self._sweep()
            except LinkLost as error:
                log.debug("leases of idle tasks: %s", error)

    async def _sweep(self) -> None:
        """Give up the leases of idle tasks, over another channel: new ones do not wait for it.

        It stays open: of each channel that is closed the client library keeps something for as
        long as the connection lives.
        """
        since = asyncio.get_running_loop().time() - self._idle
        idle, session = self._leases.idle(since), self._session
        if not idle or session is None:
            return
        if self._sweeping is None or self._sweeping.lost:
            self._sweeping = await session.channel(confirms=False)
        for queue, leases in idle.items():
            await self._give_up(self._sweeping, queue, leases, since)

    async def _give_up(
        self, channel: Channel, queue: LeaseQueue, idle: Sequence[Lease], since: float
    ) -> None:
        """Give up leases of one queue, and the queue itself where it holds no others."""
        leases = [lease for lease in idle if lease.queue is queue and lease.idle(since)]
        if len(leases) == queue.leases:
            with self._leases.leaving(queue, leases):
                await guarded(channel.raw.queue_delete(queue.name))
            return
        for lease in leases:
            if lease.queue is queue and lease.idle(since):
                exchange = task_exchange(lease.task_id).name
                with self._leases.leaving(queue, [lease]):
                    await guarded(channel.raw.queue_unbind(queue.name, exchange, LEASE_KEY))
