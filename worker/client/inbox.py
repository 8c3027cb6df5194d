"""Replies that wait to be read, no more of them than are needed."""

import asyncio
from itertools import count

from worker.client.newest import Newest
from worker.client.replies import Reply, Update

Key = tuple[str, str, str] | int


class Inbox:
    """Holds what one reader has not read yet.

    Texts are cumulative: of a job's updates only the newest is kept, and none once the attempt or
    the job has ended. A slow reader holds up nobody, and holds one update a job at most.
    """

    def __init__(self) -> None:
        self._newest = Newest()
        self._unread: dict[Key, Reply] = {}
        self._numbers = count()
        self._stirred = asyncio.Event()
        self._closed = False

    def put(self, reply: Reply) -> None:
        """Add a reply, if it is news."""
        if self._closed or not self._newest.note(reply):
            return
        job = (reply.network, reply.task_id, reply.job_id)
        self._unread.pop(job, None)
        self._unread[job if isinstance(reply, Update) else next(self._numbers)] = reply
        self._stirred.set()

    async def get(self) -> Reply | None:
        """Return the next reply, once there is one; None when it is closed and empty."""
        while not self._unread:
            if self._closed:
                return None
            self._stirred.clear()
            await self._stirred.wait()
        return self._unread.pop(next(iter(self._unread)))

    def close(self) -> None:
        """Take no more: what is unread may still be read."""
        self._closed = True
        self._stirred.set()
