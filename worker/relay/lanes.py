"""Lanes: the in-process FIFO of each task, so that a conversation stays a conversation.

What is put into a lane is worked off one after another; lanes do not wait for each other. A lane
exists only while there is something in it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, Self, TypeVar


class Work(Protocol):
    """What is worked off."""

    def claim(self) -> bool:
        """Start working on it; False if it has become pointless while it waited."""

    def joined_by(self, other: Self) -> bool:
        """Take in another piece of work that turns out to be this one, while it runs."""


W = TypeVar("W", bound=Work)


class Lanes(Generic[W]):
    """Works off each lane in order.

    Args:
        work: does one piece of work, told what waits behind it in its lane; must not raise.

    Attributes:
        waiting: how much waits for its turn.
    """

    def __init__(self, work: Callable[[W, Sequence[W]], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: dict[Hashable, list[W]] = {}
        self._current: dict[Hashable, W] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._quiet = False
        self.waiting = 0

    @property
    def running(self) -> int:
        """How much is worked on now."""
        return len(self._current)

    def put(self, key: Hashable, work: W) -> None:
        """Queue work in a lane, unless it joins what runs there; start the lane if it is new."""
        current = self._current.get(key)
        if current is not None and current.joined_by(work):
            return
        self.waiting += 1
        lane = self._waiting.get(key)
        if lane is not None:
            lane.append(work)
            return
        self._waiting[key] = [work]
        self._running[key] = asyncio.create_task(self._run(key))

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
        _, left = await asyncio.wait(self._running.values(), timeout=grace)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return not left

    async def _run(self, key: Hashable) -> None:
        lane = self._waiting[key]
        try:
            while lane and not self._quiet:
                work = lane.pop(0)
                self.waiting -= 1
                if work.claim():
                    self._current[key] = work
                    await self._work(work, lane)
                    del self._current[key]
        finally:
            self._current.pop(key, None)
            self.waiting -= len(lane)
            del self._running[key]
            del self._waiting[key]
