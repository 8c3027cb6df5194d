"""Feels the broker's pulse: a job is only begun while the broker is known to believe in us.

A worker that is cut off, or was stopped for a while, does not know it: its side of the connection
looks well for half a minute. The broker has given its jobs to another worker by then, and every
job that is begun now would be asked twice. Heartbeats do not tell in time: the broker gives up a
silent client after one to two of their intervals, the client library a silent broker after three.
"""

import asyncio
from collections.abc import Awaitable, Callable

from worker.core.errors import LinkLost

BEATS = 5
"""Questions in an interval of the heartbeat."""
ENOUGH = 0.8
"""The part of that interval after which an answer is too old: the broker waits for all of it."""


class Pulse:
    """Asks the broker something, again and again.

    Args:
        ask: asks it, and returns when it has answered.
        tell: told when it has not answered for too long.
        heartbeat: the interval of the connection's heartbeats, in seconds.
        now: a monotonic clock, in seconds.
        sleep: waits so many seconds of it.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[object]],
        tell: Callable[[str], None],
        heartbeat: float,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ask = ask
        self._tell = tell
        self._beat = heartbeat / BEATS
        self._limit = heartbeat * ENOUGH
        self._now = now
        self._sleep = sleep
        self._felt = now()

    def check(self) -> None:
        """Tell if the last answer is too old: the time may have passed while we were stopped."""
        silent = self._now() - self._felt
        if silent > self._limit:
            self._tell(f"the broker has not answered for {silent:.3g} s")

    async def run(self) -> None:
        """Ask until cancelled, or until no answer comes."""
        while True:
            asked = self._now()
            try:
                async with asyncio.timeout(self._limit):
                    await self._ask()
            except TimeoutError:
                self._tell(f"the broker has not answered for {self._limit:.3g} s")
                return
            except LinkLost:
                return
            # What counts is when the question left: the answer shows that it was heard after that.
            self._felt = asked
            await self._sleep(self._beat)
