"""Lanes: the in-process FIFO of each task, so that a conversation stays a conversation.

What is put into a lane is worked off one after another; lanes do not wait for each other. A lane
exists only while there is something in it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Stale(Protocol):
    """Work that may have become pointless while it waited."""

    @property
    def lost(self) -> bool:
        """It is to be forgotten, not started."""


W = TypeVar("W", bound=Stale)


class Lanes(Generic[W]):
    """Works off each lane in order.

    Args:
        work: does one piece of work; must not raise.
    """

    def __init__(self, work: Callable[[W], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: dict[Hashable, deque[W]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._quiet = False

    def put(self, key: Hashable, work: W) -> None:
        """Queue work in a lane, and start the lane if it is new."""
        lane = self._waiting.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._waiting[key] = deque([work])
        task = asyncio.create_task(self._run(key))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def quiet(self) -> None:
        """Start nothing any more; what runs goes on."""
        self._quiet = True

    async def drain(self, grace: float) -> bool:
        """Wait for what runs; cancel what is left after ``grace`` seconds.

        Returns:
            whether everything had finished by itself.
        """
        if not self._running:
            return True
        _, left = await asyncio.wait(self._running, timeout=grace)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return not left

    async def _run(self, key: Hashable) -> None:
        lane = self._waiting[key]
        try:
            while lane and not self._quiet:
                work = lane.popleft()
                if not work.lost:
                    await self._work(work)
        finally:
            del self._waiting[key]
