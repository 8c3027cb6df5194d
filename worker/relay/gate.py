"""The gate in front of AUI: which job may begin an attempt, per network, and how many at once.

    with gate.visit(network) as visit            a job, for as long as it is worked on
        async with gate.slot(visit) as admitted  its turn to open a socket, or not
        gate.ended(visit, task_id, verdict)      evidence for core.brownout

A job that is not admitted goes back to its queue. The exception are the jobs that come while the
network is half-open: one of them at a time, the *canary*, tries it, and all are held, unacked,
until the network is healthy, so that a long outage does not count up their deliveries.

A place of the network is taken first and one of the process last, so that a network that is
slow, limited or out never holds the places of the others while it waits for its own.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType

from worker.core.brownout import State, Tolerance
from worker.core.verdict import Verdict
from worker.relay.door import Door, Visit
from worker.relay.places import Limits
from worker.relay.ports import Clock


class Slot:
    """A place of a network and one of the process, for one attempt."""

    __slots__ = (
        "_held",
        "_places",
        "_visit",
    )

    def __init__(self, visit: Visit, places: asyncio.Semaphore) -> None:
        self._visit = visit
        self._places = places
        self._held = False

    async def __aenter__(self) -> bool:
        """Take them; gives what :meth:`Gate.admitted` gives, and without admission takes none."""
        visit = self._visit
        while not self._held and await visit.door.admitted(visit):
            self._held = await visit.door.take_places(visit, self._places)
        visit.begun = visit.begun or self._held
        return self._held

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._held:
            self._visit.door.give_places_back(self._places)


class Gate:
    """The doors of all networks, and the places they share.

    Args:
        limits: those of each network, by name.
        open_turns: how many turns may be open at once in the whole process.
        tolerance: what a network may do before it is browned out.
        clock: the time.
    """

    def __init__(
        self, limits: Mapping[str, Limits], open_turns: int, tolerance: Tolerance, clock: Clock
    ) -> None:
        self._doors = {name: Door(name, own, tolerance, clock) for name, own in limits.items()}
        self._places = asyncio.Semaphore(open_turns)

    def door(self, network: str) -> Door:
        """Return the door of a network, for its keeper."""
        return self._doors[network]

    def visit(self, network: str) -> Visit:
        """Return the visit of one job: a context, to be left when the job is done with."""
        return Visit(self._doors[network])

    async def admitted(self, visit: Visit) -> bool:
        """Wait while the network is paused; True when the job may begin an attempt.

        False when it is to go back to its queue: the network is out, or the gate is quiet and the
        job never had a place. Jobs that came while it was half-open wait until it may be tried
        again, up to :data:`worker.relay.door.HELD_FOR`.
        """
        return await visit.door.admitted(visit)

    def slot(self, visit: Visit) -> "Slot":
        """Return a place for one attempt: a context, to hold it for the length of."""
        return Slot(visit, self._places)

    def ended(self, visit: Visit, task_id: str, verdict: Verdict) -> None:
        """Take the evidence of one attempt."""
        visit.door.ended(visit, task_id, verdict)

    def counts(self, visit: Visit) -> bool:
        """Tell whether an attempt that was just interrupted counts against its job."""
        return visit.door.state is State.HEALTHY and not visit.door.paused

    def quiet(self) -> None:
        """Admit only jobs that had a place before: what runs may be tried again."""
        for door in self._doors.values():
            door.shut()

    def brown(self) -> dict[str, str]:
        """Return why each network is out that is not healthy, by name."""
        return {name: door.why for name, door in self._doors.items() if door.why}
