"""The updates of one attempt on their way out: in order, paced, and bounded in memory.

Reading from AUI never waits for the broker: a reader that stalls misses keepalives and loses the
connection. An update that may go goes at once. Others wait here, and when too many do, or while
nothing can be published, the newest stands for all of them, for its text holds theirs.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from worker.core.pace import Pace
from worker.core.reply import Replies
from worker.core.update import Update
from worker.relay.ports import Hold, Publisher

MAX_WAITING = 256
MAX_WAITING_BYTES = 1024 * 1024


class Outbox:
    """Publishes the updates put into it, until the context is left.

    Leaving it in good order waits until publishing may begin, and publishes what still waits,
    unless its pace says that it is not yet due: what follows then holds its text.

    Args:
        publisher: where updates go.
        replies: numbers them.
        pace: how often they are wanted.
        hold: the use of the task's exchange: publishing may begin when that stands.
        now: a monotonic clock, in seconds.

    Attributes:
        coalesced: how many of the updates gave way to a newer one.
        puts: how many were put in.
        first_put: when the first one was.
        last_put: when the last one was.
        first_published: when the first one left.
    """

    __slots__ = (
        "_begun",
        "_closing",
        "_hold",
        "_last",
        "_now",
        "_pace",
        "_pause",
        "_publisher",
        "_pump",
        "_replies",
        "_size",
        "_waiting",
        "coalesced",
        "first_published",
        "first_put",
        "last_put",
        "puts",
    )

    def __init__(
        self,
        publisher: Publisher,
        replies: Replies,
        pace: Pace,
        hold: Hold,
        now: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._replies = replies
        self._pace = pace
        self._hold = hold
        self._now = now
        self._begun = False
        self._waiting: list[Update] = []
        self._size = 0
        self._last: float | None = None
        self._closing = False
        self._pause: asyncio.Future[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self.coalesced = 0
        self.puts = 0
        self.first_put: float | None = None
        self.last_put = 0.0
        self.first_published: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
        if error is None:
            await (self._pump or self._begin())
        elif self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    def put(self, update: Update) -> None:
        """Take the newest update; never waits."""
        self.last_put = now = self._now()
        self.puts += 1
        if self.first_put is None:
            self.first_put = now
        interval = self._pace.interval
        if interval is None:
            return
        if interval:
            self._coalesce()
        may_begin = self._begun or self._hold.stands
        if may_begin and not self._waiting and self._publisher.possible and self._early() <= 0:
            self._publish(update)
        else:
            self._keep(update)

    def _keep(self, update: Update) -> None:
        """Let it wait, and see to it that it goes."""
        full = len(self._waiting) >= MAX_WAITING or self._size > MAX_WAITING_BYTES
        if full or self._publisher.held_up:
            self._coalesce()
        self._waiting.append(update)
        self._size += len(update.literal)
        if self._pump is None:
            self._pump = asyncio.create_task(self._publish_waiting())

    def _coalesce(self) -> None:
        self.coalesced += len(self._waiting)
        self._waiting.clear()
        self._size = 0

    def _publish(self, update: Update) -> None:
        if self.first_published is None:
            self._begun, self.first_published = True, self._now()
        self._publisher.update(self._replies.update(update))
        if self._pace.interval:
            self._last = self._now()

    async def _begin(self) -> None:
        if not self._begun:
            await self._hold.ready()
            self._begun = True

    async def _publish_waiting(self) -> None:
        """Publish what waits, until nothing does."""
        await self._begin()
        while await self._due():
            await self._publisher.ready()
            while self._waiting and self._publisher.possible and self._early() <= 0:
                update = self._waiting.pop(0)
                self._size -= len(update.literal)
                self._publish(update)
        self._pump = None

    async def _due(self) -> bool:
        """Wait until an update may go; tell whether there is one."""
        while self._waiting:
            early = self._early()
            if early <= 0:
                return True
            if self._closing:
                return False
            self._pause = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout(early):
                    await self._pause
        return False

    def _early(self) -> float:
        """Return how many seconds are missing until the pace lets an update go."""
        due = None if self._last is None else self._pace.due(self._last)
        return 0.0 if due is None else due - self._now()
