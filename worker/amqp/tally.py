"""Counts what is published over one channel and not yet confirmed.

It knows when a confirm came last and how long one is overdue, and lets those who wait for room
among the updates go on, first come, first served.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Tally:
    """Unconfirmed publishes.

    Args:
        window: how many updates may be unconfirmed at once.
        now: a monotonic clock, in seconds.

    Attributes:
        updates: updates that are unconfirmed.
        awaited: other publishes that are, each of them awaited by somebody.
    """

    def __init__(self, window: int, now: Callable[[], float]) -> None:
        self.updates = 0
        self.awaited = 0
        self._window = window
        self._now = now
        self._since = 0.0
        self._answered = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def room(self) -> bool:
        """Another update may be published."""
        return self.updates < self._window

    def overdue(self, seconds: float) -> bool:
        """A confirm is awaited, and for so long none has come.

        One confirm that stays away, while others come, is the trouble of one queue.
        """
        if not self.updates and not self.awaited:
            return False
        return self._now() - max(self._since, self._answered) > seconds

    def sent(self) -> None:
        """Count an update."""
        if not self.updates and not self.awaited:
            self._since = self._now()
        self.updates += 1

    def confirmed(self, count: int = 1) -> None:
        """Strike out updates: the broker has answered."""
        self.updates -= count
        self._answered = self._now()
        if self._waiting:
            self.stir()

    def given_up(self) -> None:
        """Strike out an update whose confirm will not come."""
        self.updates -= 1
        self.stir()

    @contextmanager
    def awaiting(self) -> Iterator[Callable[[], None]]:
        """Count a publish for the length of the context; call what is yielded at its confirm."""
        if not self.updates and not self.awaited:
            self._since = self._now()
        self.awaited += 1
        try:
            yield self._heard
        finally:
            self.awaited -= 1
            self.stir()

    async def turn(self) -> None:
        """Wait until there may be room, or something else has changed: look again then."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.stir()
            raise

    def stir(self) -> None:
        """Let as many go on as there is room for."""
        free = self._window - self.updates
        while self._waiting and free > 0:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                free -= 1

    def close(self) -> None:
        """Let all go on: the channel is gone."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)

    def _heard(self) -> None:
        self._answered = self._now()
