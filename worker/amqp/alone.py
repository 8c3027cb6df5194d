"""Lets only one mandatory publish of a message id travel at a time.

The client library tells returned publishes apart by their message id alone: of two under way
with one id, an unroutable one would be reported as kept. A copy keeps the id of its job, and
jobs of different tasks may share one.
"""

import asyncio
from types import TracebackType


class Alone:
    """Serialises publishes by message id; those of different ids do not wait for each other."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}

    def by(self, message_id: str | None) -> "Queue":
        """Return where to wait until no other publish of that id is under way: a context.

        A message without an id is alone.
        """
        if message_id is None:
            return Queue(self._queues, "")
        return self._queues.get(message_id) or Queue(self._queues, message_id)


class Queue:
    """Those who publish with one message id: a context, which lets in one after another."""

    def __init__(self, queues: "dict[str, Queue]", message_id: str) -> None:
        self._queues = queues
        self._id = message_id
        self._lock = asyncio.Lock()
        self._users = 0

    async def __aenter__(self) -> None:
        if not self._id:
            return
        self._queues[self._id] = self
        self._users += 1
        try:
            await self._lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._id:
            self._lock.release()
            self._leave()

    def _leave(self) -> None:
        self._users -= 1
        if not self._users:
            del self._queues[self._id]
