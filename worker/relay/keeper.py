"""The keeper of one network: what core.brownout decides, it does to the network's partitions.

    out        close all of them, and probe AUI with growing pauses; one that was opened to try
               stays open as long as its jobs wait for the next try
    half-open  open one; the gate lets one job at a time through, the canary
    healthy    open all

A half-open partition may have no job to try the network with: it may be empty, or another worker
may be the one that consumes it. When none was admitted for :data:`IDLE` seconds a second probe
has to do for a job: if it succeeds too the network is healthy.
"""

import logging

from worker.core.brownout import State
from worker.relay.door import Door
from worker.relay.ports import Agent, Clock, Partitions
from worker.telemetry.logs import FIELDS
from worker.telemetry.metrics import Metrics

IDLE = 10.0
log = logging.getLogger(__name__)


class Keeper:
    """Keeps one network. The others do not notice.

    Args:
        door: the door to it.
        agent: AUI, to be probed.
        partitions: its queues, all open.
        clock: the time.
        metrics: what is counted.
    """

    def __init__(
        self,
        door: Door,
        agent: Agent,
        partitions: Partitions,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self._door = door
        self._agent = agent
        self._partitions = partitions
        self._clock = clock
        self._one_open = False
        self._metrics = metrics or Metrics()

    async def run(self) -> None:
        """Keep it, until cancelled."""
        extra = {FIELDS: {"network": self._door.network}}
        while True:
            while self._door.state is not State.OUT:
                await self._door.stirred()
            began = self._clock.now()
            self._metrics.browned_out(self._door.network)
            log.error("browned out: %s", self._door.why, extra=extra)
            self._partitions.close()
            self._one_open = False
            await self._until_healthy()
            self._partitions.open()
            log.info("healthy again after %.0f s", self._clock.now() - began, extra=extra)

    async def _until_healthy(self) -> None:
        while self._door.state is not State.HEALTHY:
            if self._door.state is State.OUT:
                await self._out()
            else:
                await self._half_open()

    async def _out(self) -> None:
        if self._one_open and not self._door.held:
            self._partitions.close()
            self._one_open = False
        wait = self._door.until_probe
        await self._door.undisturbed(self._clock.sleep(wait) if wait > 0 else self._probe())

    async def _half_open(self) -> None:
        if not self._one_open:
            self._partitions.open_one()
            self._one_open = True
        if self._door.canary is not None:
            await self._door.stirred()
        elif await self._door.undisturbed(self._clock.sleep(IDLE)):
            await self._door.undisturbed(self._probe())

    async def _probe(self) -> None:
        self._door.probed(await self._agent.probe())
