"""What is going on in the tasks that somebody looks at: the newest reply about each job."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from typing import Self

from worker.client import Client, ClientError, Reply

ROOMS = 1_000
TURNS = 100
Place = tuple[int, int]
log = logging.getLogger(__name__)


class Room:
    """One task, for as many browsers as look at it.

    Attributes:
        turns: the jobs it knows of, oldest first, each with the newest reply about it. The text
            of updates is cumulative, so nothing older is ever needed.
    """

    def __init__(self) -> None:
        self.turns: OrderedDict[str, Reply | None] = OrderedDict()
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stirred = asyncio.Event()
        self._closed = False

    async def run(self, aui: Client, task_id: str) -> None:
        """Listen to the task until cancelled."""
        try:
            async with aui.replies(task_id) as replies:
                self.listening.set_result(None)
                async for reply in replies:
                    self.note(reply.job_id, reply)
        except ClientError as error:
            log.warning("task %s: %s", task_id, error)
            if not self.listening.done():
                self.listening.set_exception(error)
        finally:
            self._closed = True
            self._stir()
            self.listening.cancel()

    def note(self, job_id: str, reply: Reply | None = None) -> None:
        """Remember a job, or the newest reply about it, and tell everybody who looks."""
        self.turns[job_id] = reply or self.turns.get(job_id)
        if len(self.turns) > TURNS:
            self.turns.popitem(last=False)
        self._stir()

    async def news(self, seen: dict[str, Place], pause: float) -> AsyncIterator[Reply | None]:
        """Yield what is newer than what was seen, first of all what is known already.

        Args:
            seen: the place of the newest reply that was seen, by job.
            pause: seconds of silence after which None is yielded.
        """
        while not self._closed:
            stirred = self._stirred
            fresh = [
                reply
                for job_id, reply in self.turns.items()
                if reply is not None and reply.place > seen.get(job_id, (0, 0))
            ]
            for reply in fresh:
                seen[reply.job_id] = reply.place
                yield reply
            if not fresh and not await _within(stirred.wait(), pause):
                yield None

    def _stir(self) -> None:
        self._stirred.set()  # whoever waits holds this one
        self._stirred = asyncio.Event()


async def _within(waiting: Awaitable[object], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return False
    return True


class Rooms:
    """The tasks that were looked at last, 1,000 of them; leave it to close them.

    Args:
        aui: connected.
    """

    def __init__(self, aui: Client) -> None:
        self._aui = aui
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._lives: dict[Room, asyncio.Task[None]] = {}

    async def of(self, task_id: str) -> Room:
        """Return the room of a task, once it listens.

        Raises:
            ClientError: the task id cannot be one, or replies cannot be had.
        """
        room = self._rooms.get(task_id) or self._open(task_id)
        self._rooms.move_to_end(task_id)
        await asyncio.shield(room.listening)
        return room

    def _open(self, task_id: str) -> Room:
        if len(self._rooms) >= ROOMS:
            _, oldest = self._rooms.popitem(last=False)
            self._lives[oldest].cancel()
        room = self._rooms[task_id] = Room()
        life = self._lives[room] = asyncio.create_task(room.run(self._aui, task_id))

        def ended(_: asyncio.Task[None]) -> None:
            del self._lives[room]
            if self._rooms.get(task_id) is room:
                del self._rooms[task_id]

        life.add_done_callback(ended)
        return room

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        lives = list(self._lives.values())
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
