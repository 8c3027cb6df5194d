"""The places of one network: how many turns may be open, and how fast messages may follow."""

import asyncio
from dataclasses import dataclass

from aiolimiter import AsyncLimiter


@dataclass(frozen=True, slots=True)
class Limits:
    """What one network may have: open turns at once, and messages per second (None: any)."""

    open_turns: int
    rate: float | None = None


class Places:
    """The places of one network; each goes with one of the process, which all networks share."""

    def __init__(self, limits: Limits) -> None:
        self._open = asyncio.Semaphore(limits.open_turns)
        self._limiter = _limiter(limits.rate)

    def free(self, of_all: asyncio.Semaphore) -> bool:
        """Tell whether there is nothing to wait for."""
        return self._limiter is None and not self._open.locked() and not of_all.locked()

    async def take(self, of_all: asyncio.Semaphore) -> None:
        """Wait for a place of the network, and then for one of all."""
        await self._open.acquire()
        try:
            if self._limiter is not None:
                await self._limiter.acquire()
            await of_all.acquire()
        except BaseException:
            self._open.release()
            raise

    def give_back(self, of_all: asyncio.Semaphore) -> None:
        """Give back what was taken."""
        of_all.release()
        self._open.release()


def _limiter(rate: float | None) -> AsyncLimiter | None:
    """Allow a burst of one second's worth, and one message where that is less than one."""
    if rate is None:
        return None
    burst = max(1.0, rate)
    return AsyncLimiter(burst, burst / rate)
