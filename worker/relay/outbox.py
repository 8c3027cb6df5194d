"""The updates of one attempt on their way out: in order, paced, and bounded in memory.

Reading from AUI never waits for the broker: a reader that stalls misses keepalives and loses the
connection. Updates wait here instead, and when too many do, or while nothing can be published, the
newest stands for all of them, for its text holds theirs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from worker.core.pace import Pace
from worker.core.reply import Replies
from worker.core.update import Update
from worker.relay.ports import Publisher

MAX_WAITING = 256
MAX_WAITING_BYTES = 1024 * 1024


class Outbox:
    """Publishes the texts put into it, until the context is left.

    Leaving it in good order publishes what still waits, unless its pace says that it is not yet
    due: what follows then holds its text.

    Args:
        publisher: where updates go.
        replies: numbers them.
        pace: how often they are wanted.
        ready: returns when publishing may begin.
        now: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        publisher: Publisher,
        replies: Replies,
        pace: Pace,
        ready: Callable[[], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._replies = replies
        self._pace = pace
        self._ready = ready
        self._now = now
        self._texts: deque[Update] = deque()
        self._size = 0
        self._last: float | None = None
        self._stirred = asyncio.Event()
        self._closing = False
        self._pump: asyncio.Task[None] | None = None
        self.coalesced = 0

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._publish_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._pump is not None  # the context was entered
        self._closing = True
        self._stirred.set()
        if error is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        else:
            await self._pump

    def put(self, update: Update) -> None:
        """Take the newest text; never waits."""
        if self._pace.interval is None:
            return
        full = len(self._texts) >= MAX_WAITING or self._size > MAX_WAITING_BYTES
        if self._pace.interval > 0 or full or not self._publisher.possible:
            self.coalesced += len(self._texts)
            self._texts.clear()
            self._size = 0
        self._texts.append(update)
        self._size += len(update.literal)
        self._stirred.set()

    async def _publish_all(self) -> None:
        await self._ready()
        while await self._due():
            await self._publisher.ready()
            update = self._texts.popleft()
            self._size -= len(update.literal)
            await self._publisher.update(self._replies.update(update))
            self._last = self._now()

    async def _due(self) -> bool:
        """Wait until an update may go; tell whether there is one."""
        while True:
            if not self._texts:
                if self._closing:
                    return False
                await self._stir(None)
                continue
            due = self._pace.due(self._last)
            wait = 0.0 if due is None else due - self._now()
            if wait <= 0:
                return True
            if self._closing:
                return False
            await self._stir(wait)

    async def _stir(self, seconds: float | None) -> None:
        """Wait for a new text, for the end, or for so many seconds."""
        self._stirred.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return
