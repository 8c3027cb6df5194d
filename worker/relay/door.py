"""The door to one network of AUI: its state, its places, and the jobs that wait in front of it."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self

from worker.core.brownout import Brownout, State, Tolerance
from worker.core.verdict import Verdict
from worker.relay.places import Limits, Places
from worker.relay.ports import Clock

HELD_FOR = 900.0
"""Seconds that jobs are held at the most; the broker takes a delivery back after 30 minutes."""


class Visit:
    """One job's time at the door; leave its context when the job is done with, however it ended.

    Attributes:
        door: where it is.
        since: when it was last admitted; None before.
        begun: it had a place before, and so may go on when the door is shut.
    """

    __slots__ = (
        "begun",
        "door",
        "since",
    )

    def __init__(self, door: "Door") -> None:
        self.door = door
        self.since: float | None = None
        self.begun = False

    @property
    def held(self) -> bool:
        """It came while the network was half-open, and waits for better times, unacked."""
        return self in self.door.held

    @property
    def canary(self) -> bool:
        """It is the one that tries the half-open network."""
        return self.door.canary is self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.door.leave(self)


class Door:
    """The door to one network.

    Attributes:
        network: its name.
        canary: the job that tries the half-open network, until it leaves or the network is well.
        held: the jobs that came to the half-open network, the canary among them.

    Args:
        network: its name.
        limits: how much of it may be used at once.
        tolerance: what it may do before it is browned out.
        clock: the time.
    """

    def __init__(self, network: str, limits: Limits, tolerance: Tolerance, clock: Clock) -> None:
        self.network = network
        self.canary: Visit | None = None
        self.held: set[Visit] = set()
        self._brownout = Brownout(tolerance)
        self._clock = clock
        self._places = Places(limits)
        self._held_until = 0.0
        self._shut = False
        self._waits: dict[asyncio.Timeout, None] = {}

    @property
    def state(self) -> State:
        """Healthy, out or half-open."""
        return self._brownout.state

    @property
    def why(self) -> str:
        """Why it is out, in one line without secrets; empty while it is healthy."""
        return self._brownout.why

    @property
    def is_shut(self) -> bool:
        """The worker is stopping."""
        return self._shut

    @property
    def paused(self) -> bool:
        """AUI wants to be left alone for a moment (429)."""
        return self._brownout.pause_left(self._clock.now()) > 0

    @property
    def until_probe(self) -> float:
        """Seconds until it is to be probed, while it is out."""
        return max(0.0, self._brownout.probe_at - self._clock.now())

    async def admitted(self, visit: Visit) -> bool:
        """Wait until a job may begin an attempt; False if it is to go back to its queue."""
        while True:
            self._hold(visit)
            wait = self._wait_for(visit)
            if wait is None:
                self.leave(visit)
                return False
            if wait == 0:
                visit.since = self._clock.now()
                return True
            await self.undisturbed(self._clock.sleep(wait))

    async def take_places(self, visit: Visit, of_all: asyncio.Semaphore) -> bool:
        """Take a place of the network, and then one of all, which the other networks share.

        Returns:
            whether the job may still begin its attempt, now that it has them; else it has none.
        """
        if self._places.free(of_all):
            await self._places.take(of_all)  # at once: there is nothing to be disturbed
            return True
        if not await self.undisturbed(self._places.take(of_all)):
            return False
        if self._wait_for(visit) == 0:
            return True
        self._places.give_back(of_all)
        return False

    def give_places_back(self, of_all: asyncio.Semaphore) -> None:
        """Give back what was taken."""
        self._places.give_back(of_all)

    def ended(self, visit: Visit, task_id: str, verdict: Verdict) -> None:
        """Take the evidence of an attempt; while half-open, only the canary's."""
        if self.state is not State.HALF or visit.canary:
            before = self.state
            self._brownout.ended(task_id, verdict, self._clock.now(), visit.since)
            self._follow(before)

    def probed(self, verdict: Verdict) -> None:
        """Take the evidence of a probe."""
        before = self.state
        self._brownout.probed(verdict, self._clock.now())
        self._follow(before)

    def leave(self, visit: Visit) -> None:
        """Let go of a job; another one may be the canary."""
        if not visit.held:
            return
        self.held.discard(visit)
        if visit.canary:
            self.canary = None
        if self.canary is None:
            self._stir()

    def step_aside(self, visit: Visit) -> None:
        """Let another job try the network: this one waits for an answer, and asks nothing now."""
        if visit.canary:
            self.canary = None
            self._stir()

    def shut(self) -> None:
        """Admit only jobs that had a place before."""
        self._shut = True
        self._stir()

    async def stirred(self) -> None:
        """Wait until the door stirs; see :meth:`undisturbed`."""
        await self.undisturbed(asyncio.Event().wait())

    async def undisturbed(self, wait: Awaitable[object]) -> bool:
        """Wait for something, or until the door stirs; tell whether it came to its end.

        The door stirs when its state changes, when there is a canary, when there is none any
        more, and when it is shut.
        """
        try:
            async with asyncio.timeout(None) as call:
                self._waits[call] = None
                try:
                    await wait
                finally:
                    self._waits.pop(call, None)
        except TimeoutError:
            return False
        return True

    def _hold(self, visit: Visit) -> None:
        """Hold a job that comes to the half-open network; make it the canary if there is none."""
        if self.state is not State.HALF or (self._shut and not visit.begun):
            return
        if not self.held:
            self._held_until = self._clock.now() + HELD_FOR
        self.held.add(visit)
        if self.canary is None:
            self.canary = visit
            self._stir()

    def _wait_for(self, visit: Visit) -> float | None:
        """Return the seconds until a job should look again: 0 is "go in", None is "go back"."""
        now = self._clock.now()
        if self._shut and not visit.begun:
            return None
        if self.state is State.OUT or (visit.held and not visit.canary):
            left = self._held_until - now
            return left if visit.held and left > 0 and not self._shut else None
        return self._brownout.pause_left(now)

    def _follow(self, before: State) -> None:
        if self.state is State.HEALTHY:
            self.canary = None
            self.held.clear()
        if self.state is not before:
            self._stir()

    def _stir(self) -> None:
        """Call everybody away from what they wait for, to look again."""
        now = asyncio.get_running_loop().time()
        calls, self._waits = self._waits, {}
        for call in calls:
            call.reschedule(now)
