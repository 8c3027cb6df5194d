"""Streams of replies for programs without an event loop."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from worker.client.loop_thread import LoopThread
from worker.client.replies import DONE, Done, Receipt, Reply, Update
from worker.client.streams import Replies
from worker.client.subscribed import Subscribed


class Stream:
    """Replies as they come: a context that is entered once it listens, and an iterator.

    Of :meth:`Client.replies` and :meth:`Client.watch` the context may be left out: it then listens
    from the first turn of ``for`` until that is left. It ends with the client.
    """

    def __init__(self, thread: LoopThread, source: Replies | Subscribed) -> None:
        self._thread = thread
        self._source = source
        self._entered = False

    def __enter__(self) -> Self:
        """Begin to listen; raises as the asynchronous one."""
        self._thread.run(self._source.__aenter__())
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered = False
        if self._thread.runs:  # the client may have been closed before
            self._thread.run(self._source.__aexit__(None, None, None))

    def __iter__(self) -> Iterator[Reply]:
        if self._entered or isinstance(self._source, Subscribed):
            yield from self._replies()
        else:
            with self:
                yield from self._replies()

    def _replies(self) -> Iterator[Reply]:
        while (reply := self._thread.run(self._next())) is not None:
            if reply.receipt is None:
                yield reply
            else:
                yield replace(reply, receipt=_Receipt(self._thread, reply.receipt))

    async def _next(self) -> Reply | None:
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            return None


class _Receipt:
    """Settles a reply at once, in the thread that asks for it; nothing is left to be awaited."""

    def __init__(self, thread: LoopThread, receipt: Receipt) -> None:
        self._thread = thread
        self._receipt = receipt

    def ack(self) -> Done:
        async def ack() -> None:
            await self._receipt.ack()

        self._thread.run(ack())
        return DONE

    def give_back(self, after: float) -> Done:
        async def give_back() -> None:
            await self._receipt.give_back(after)

        self._thread.run(give_back())
        return DONE


class Calls:
    """Calls a function of the caller's thread from the loop, which waits for each call to end.

    So of updates that come faster than they are shown only the newest is.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Update, asyncio.Future[None]] | None] = SimpleQueue()

    async def hand_over(self, update: Update) -> None:
        """Have the caller's thread called with an update, and wait until it is done."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put((update, done))
        await done

    def end(self, _: object) -> None:
        """No more comes."""
        self._waiting.put(None)

    def make(self, thread: LoopThread, call: Callable[[Update], None]) -> None:
        """Make the calls, until the end."""
        while (waiting := self._waiting.get()) is not None:
            update, done = waiting
            call(update)
            thread.end(done)
