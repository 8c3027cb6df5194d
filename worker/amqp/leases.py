"""A worker's hold on the exchanges of its tasks: who uses each, and which queue keeps it alive."""

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.amqp.backoff import Backoff

LEASES_PER_QUEUE = 64
AT_ONCE = 32
"""Leases made in one round trip: each waits for the last of them."""


@dataclass(slots=True, eq=False)
class LeaseQueue:
    """An exclusive queue that task exchanges are bound to.

    Attributes:
        name: its name.
        leases: how many of its places are taken.
        stands: the broker is known to have it.
    """

    name: str
    leases: int = 0
    stands: bool = False

    @property
    def room(self) -> bool:
        """It has a place left."""
        return self.leases < LEASES_PER_QUEUE


@dataclass(slots=True, eq=False)
class Lease:
    """One task's hold on its exchange.

    Attributes:
        users: how many use it now.
        idle_since: since when nobody does.
        queue: what keeps the exchange alive, from the moment it is to.
        bound: replies reach the exchange.
        wanted: it is to be made, and somebody is at it or will be.
        leaving: it is being given up; what is wanted meanwhile is made after that.
        alone: it is made by itself: together with others it would not do.
        tries: how often that was in vain.
    """

    network: str
    task_id: str
    users: int = 0
    idle_since: float = 0.0
    queue: LeaseQueue | None = None
    bound: bool = False
    wanted: bool = False
    leaving: bool = False
    alone: bool = False
    tries: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    _awaited: asyncio.Future[None] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.network, self.task_id

    def idle(self, since: float) -> bool:
        """Nobody uses it, nor has since then, nor is anybody making it."""
        return not self.users and not self.wanted and self.idle_since <= since

    def want(self) -> None:
        """Begin to wait for it."""
        self.wanted, self.tries = True, 0
        self.backoff.reset()

    def settle(self, *, bound: bool) -> None:
        """Wait for it no longer."""
        self.wanted, self.bound = False, bound
        self.alone = self.alone and not bound
        if self._awaited is not None:
            self._awaited.set_result(None)
            self._awaited = None

    async def settled(self) -> None:
        """Return once nothing is to be waited for: it is bound, or could not be made."""
        while self.wanted:
            # No event: there is a lease for every task of the last quarter of an hour.
            self._awaited = self._awaited or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._awaited)


class Leases:
    """All leases of a worker: which are to be made next, and which may be given up.

    Args:
        prefix: begins the names of the lease queues.

    Attributes:
        stir: set when there is something to be made.
    """

    def __init__(self, prefix: str) -> None:
        self.stir = asyncio.Event()
        self._prefix = prefix
        self._all: dict[tuple[str, str], Lease] = {}
        self._wanted: deque[Lease] = deque()
        self._filling: LeaseQueue | None = None

    def of(self, network: str, task_id: str) -> Lease:
        """Return the lease of a task."""
        lease = self._all.get((network, task_id))
        if lease is None:
            lease = self._all[network, task_id] = Lease(network, task_id)
        return lease

    def want(self, lease: Lease) -> None:
        """Have it made, unless it is, or is about to be."""
        if lease.bound or lease.wanted:
            return
        lease.want()
        if not lease.leaving:
            self.enqueue(lease)

    def enqueue(self, lease: Lease) -> None:
        """Have what is wanted made after all that is wanted already."""
        self._wanted.append(lease)
        self.stir.set()

    def next(self) -> Sequence[Lease]:
        """Take out what is to be made in the next round trip, with a place for each."""
        leases: list[Lease] = []
        while self._wanted and len(leases) < AT_ONCE:
            if leases and (leases[-1].alone or self._wanted[0].alone):
                break
            lease = self._wanted.popleft()
            if not lease.users:
                lease.settle(bound=False)
                continue
            if lease.queue is None:
                lease.queue = self._place()
            leases.append(lease)
        return leases

    def forget(self) -> None:
        """Want those again that are held, and forget all others: their queues are gone."""
        self._filling = None
        for key, lease in list(self._all.items()):
            lease.queue, lease.bound = None, False
            if lease.users:
                self.want(lease)
            elif not lease.wanted:
                del self._all[key]

    def idle(self, since: float) -> Mapping[LeaseQueue, Sequence[Lease]]:
        """Return what has been idle since then, by its queue; forget what has none."""
        idle: defaultdict[LeaseQueue, list[Lease]] = defaultdict(list)
        for key, lease in list(self._all.items()):
            if not lease.idle(since):
                continue
            if lease.queue is None:
                del self._all[key]
            else:
                idle[lease.queue].append(lease)
        return idle

    @contextmanager
    def leaving(self, queue: LeaseQueue, leases: Sequence[Lease]) -> Iterator[None]:
        """Give up leases of a queue for the length of the context.

        What is wanted meanwhile is made after it. An empty queue is not filled again.
        """
        queue.leases -= len(leases)
        if queue is self._filling and not queue.leases:
            self._filling = None
        for lease in leases:
            lease.leaving, lease.bound, lease.queue = True, False, None
        try:
            yield
        finally:
            for lease in leases:
                lease.leaving = False
                if lease.wanted:
                    self.enqueue(lease)
                elif self._all.get(lease.key) is lease:
                    del self._all[lease.key]

    def _place(self) -> LeaseQueue:
        """Take a place in a lease queue; one that was full is not filled again.

        Its name ends in a random word: the broker may hold the exclusive queue of this worker's
        earlier life until that connection's heartbeats run out.
        """
        if self._filling is None or not self._filling.room:
            self._filling = LeaseQueue(f"{self._prefix}.{secrets.token_hex(4)}")
        self._filling.leases += 1
        return self._filling
