"""An event loop in a thread of its own, for programs that have none."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from worker.client.errors import FORKED, ClientError

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for any thread of the process that made it.

    The thread is a daemon: a program that forgets to stop it ends all the same.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="aui-client", daemon=True)
        self._thread.start()

    @property
    def ours(self) -> bool:
        """It belongs to this process, which was not forked off since."""
        return self._process == os.getpid()

    @property
    def runs(self) -> bool:
        """It takes coroutines."""
        return self.ours and self._thread.is_alive()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a coroutine.

        Raises:
            ClientError: it is stopped, or belongs to the process that this one was forked from.
        """
        if not self.runs:
            coroutine.close()
            raise ClientError("the client is closed" if self.ours else FORKED)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; Ctrl-C cancels it."""
        future = self.submit(coroutine)
        try:
            return future.result()
        finally:
            future.cancel()

    def end(self, future: asyncio.Future[None]) -> None:
        """Have a future of the loop end."""
        self._loop.call_soon_threadsafe(_end, future)

    def stop(self) -> None:
        """End the loop and its thread; what still runs is cancelled."""
        if self.runs:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            running = asyncio.all_tasks(self._loop)
            for task in running:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
