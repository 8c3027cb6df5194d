"""The bindings of a queue to the hub: added and taken away one by one, and again after a loss."""

import asyncio
import logging
from dataclasses import dataclass, field

from worker.amqp.guard import guarded
from worker.amqp.loss import Loss
from worker.amqp.session import Channel, Session
from worker.core.errors import LinkLost
from worker.core.topology import HUB

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Binding:
    """A key that somebody wants, and the news that it is bound."""

    users: int = 0
    bound: asyncio.Future[None] = field(default_factory=asyncio.Future)


class Bindings:
    """What a queue is bound to, counted by who wants it.

    Args:
        queue: its name.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._wanted: dict[str, _Binding] = {}
        self._standing: set[str] = set()
        self._to_bind: dict[str, None] = {}
        self._to_unbind: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._end = asyncio.Event()

    async def add(self, key: str) -> None:
        """Want a key, and wait until it is bound; :meth:`drop` takes that back.

        Raises:
            LinkLost: with a code, the broker refuses it.
        """
        binding = self._wanted.setdefault(key, _Binding())
        binding.users += 1
        self._to_unbind.pop(key, None)
        if key not in self._standing:
            self._to_bind[key] = None
            self._changed.set()
        elif not binding.bound.done():
            binding.bound.set_result(None)
        try:
            await asyncio.shield(binding.bound)
        except BaseException:
            self._leave(key, binding)
            raise

    def drop(self, key: str) -> None:
        """Want a key no longer; it is unbound soon, unless somebody else wants it."""
        if key in self._wanted:
            self._leave(key, self._wanted[key])

    def end(self) -> None:
        """Have :meth:`keep` end, once what it has asked of the broker is done."""
        self._end.set()
        self._changed.set()

    def ended(self) -> bool:
        """Tell whether it is to end."""
        return self._end.is_set()

    async def keep(self, session: Session, lost: Loss) -> None:
        """Bind what is wanted and unbind what is not, until the channel is lost or the end.

        Raises:
            LinkLost: the connection is gone.
        """
        # A queue that was gone for too long has lost its bindings; one that stood has all of them.
        self._standing -= self._wanted.keys()
        self._to_bind, self._to_unbind = dict.fromkeys(self._wanted), dict.fromkeys(self._standing)
        self._changed.set()
        channel = await session.channel(confirms=False)
        lost.when(self._changed.set)
        while not self._over(lost):
            await self._changed.wait()
            self._changed.clear()
            while (key := self._next(lost)) is not None:
                if channel.lost:
                    channel = await session.channel(confirms=False)
                await self._adjust(channel, key)

    async def release(self, channel: Channel) -> None:
        """Unbind everything.

        Raises:
            LinkLost: the connection is gone.
        """
        for key in self._standing | self._wanted.keys():
            await guarded(channel.raw.queue_unbind(self._queue, HUB, key))

    def _over(self, lost: Loss) -> bool:
        return self.ended() or bool(lost)

    def _next(self, lost: Loss) -> str | None:
        """Take a key to be bound, or else one to be unbound."""
        due = self._to_bind or self._to_unbind
        if not due or self._over(lost):
            return None
        key = next(iter(due))
        del due[key]
        return key

    async def _adjust(self, channel: Channel, key: str) -> None:
        binding = self._wanted.get(key)
        if binding is None:
            await self._unbind(channel, key)
            return
        try:
            await channel.lost.ends(guarded(channel.raw.queue_bind(self._queue, HUB, key)))
        except LinkLost as error:
            if error.code is None:
                raise
            self._refused(key, binding, error)
            return
        self._standing.add(key)
        if key not in self._wanted:
            self._to_unbind[key] = None
        if not binding.bound.done():
            binding.bound.set_result(None)

    async def _unbind(self, channel: Channel, key: str) -> None:
        self._standing.discard(key)
        try:
            await channel.lost.ends(guarded(channel.raw.queue_unbind(self._queue, HUB, key)))
        except LinkLost as error:
            if error.code is None:
                self._standing.add(key)  # to be tried again
                raise

    def _refused(self, key: str, binding: _Binding, error: LinkLost) -> None:
        if self._wanted.get(key) is binding:
            del self._wanted[key]
        if binding.bound.done():
            log.error("%s: %s is not bound any more: %s", self._queue, key, error)
            return
        binding.bound.set_exception(LinkLost(str(error), error.code))
        binding.bound.exception()  # whoever waited may have gone

    def _leave(self, key: str, binding: _Binding) -> None:
        binding.users -= 1
        if binding.users == 0 and self._wanted.get(key) is binding:
            del self._wanted[key]
            self._to_bind.pop(key, None)
            if key in self._standing:
                self._to_unbind[key] = None
                self._changed.set()
