"""Lets only one mandatory publish of a message id travel at a time.

The client library tells returned publishes apart by their message id alone: of two under way
with one id, an unroutable one would be reported as kept. A copy keeps the id of its job, and
jobs of different tasks may share one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Alone:
    """Serialises publishes by message id; those of different ids do not wait for each other."""

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
