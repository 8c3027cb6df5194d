"""Rings for many with few timers: those who wait for about the same time share one.

A timer of the event loop takes half a kilobyte, and an open conversation needs two.
"""

import asyncio
from math import ceil, frexp, ldexp
from typing import Protocol

FINENESS = 6
"""A wait is made longer by one part in 32 at the most: two to the power of one less than this."""


class Sleeper(Protocol):
    """Who is to be rung for."""

    def ring(self) -> None:
        """Note that the time has come."""


class Alarms:
    """Alarms of one event loop. Made within it, while it runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: dict[float, dict[Sleeper, None]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._ringing: dict[Sleeper, None] = {}

    def set(self, at: float, sleeper: Sleeper) -> float:
        """Ring at a time, or a little later.

        Args:
            at: the event loop's time.
            sleeper: who is told; each has one alarm at a time.

        Returns:
            the time it will be, which :meth:`drop` wants to know.
        """
        _, exponent = frexp(max(at - self._loop.time(), 0.001))
        step = ldexp(1.0, exponent - FINENESS)
        due = ceil(at / step) * step
        sleepers = self._due.get(due)
        if sleepers is None:
            sleepers = self._due[due] = {}
            self._timers[due] = self._loop.call_at(due, self._ring, due)
        sleepers[sleeper] = None
        return due

    def drop(self, due: float, sleeper: Sleeper) -> None:
        """Ring no more; does nothing if it has rung."""
        self._ringing.pop(sleeper, None)
        sleepers = self._due.get(due)
        if sleepers is None or sleeper not in sleepers:
            return
        del sleepers[sleeper]
        if not sleepers:
            del self._due[due]
            self._timers.pop(due).cancel()

    def _ring(self, due: float) -> None:
        del self._timers[due]
        self._ringing.update(self._due.pop(due))
        self._ring_all()

    def _ring_all(self) -> None:
        try:
            while self._ringing:
                self._ringing.popitem()[0].ring()
        finally:
            if self._ringing:  # one of them broke, which is no reason not to wake the others
                self._loop.call_soon(self._ring_all)
