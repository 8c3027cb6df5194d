"""The news that a connection or channel is gone: told once, to everybody who asked to be told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from worker.core.errors import LinkLost

T = TypeVar("T")

LAST_WORDS = 1.0
"""Seconds an operation may still take after the loss, to tell by its own error what happened."""


class Watch:
    """A call that is to be made at a loss; call it to take that back."""

    __slots__ = ("_calls", "_number")

    def __init__(self, calls: dict[int, Callable[[], None]], number: int) -> None:
        self._calls = calls
        self._number = number

    def __call__(self) -> None:
        """Take it back."""
        self._calls.pop(self._number, None)


class Loss:
    """An event that happens once: the link or channel is gone, and why."""

    def __init__(self) -> None:
        self.why: str | None = None
        self._event = asyncio.Event()
        self._calls: dict[int, Callable[[], None]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return self._event.is_set()

    def tell(self, why: str) -> None:
        """Declare it lost; only the first reason counts."""
        if self._event.is_set():
            return
        self.why = why
        self._event.set()
        while self._calls:
            self._calls.pop(next(iter(self._calls)))()

    async def wait(self) -> None:
        """Return once it is lost."""
        await self._event.wait()

    def when(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when it is lost, at once if it is; return what takes that back.

        The function must not raise.
        """
        if self:
            call()
            return lambda: None
        self._count += 1
        self._calls[self._count] = call
        return Watch(self._calls, self._count)

    async def ends(self, operation: Awaitable[T]) -> T:
        """Await an operation over what may get lost, and soon after the loss no longer.

        A dying connection answers most operations with an error, but leaves some waiting for
        ever: those that wait for room to write, and those that wait for the end of an alarm.

        Raises:
            LinkLost: it is gone; what became of the operation is unknown.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                take_back = self.when(lambda: limit.reschedule(loop.time() + LAST_WORDS))
                try:
                    return await operation
                finally:
                    take_back()
        except TimeoutError:
            if not limit.expired():
                raise
            raise LinkLost(self.why or "lost") from None
