"""A worker's life: builds it from its settings, and owns what lives and dies with it.

Started in order (consuming link and topology, publishing link, leases, consumers), stopped in
reverse: quiet, drain, give back.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from worker.amqp.choice import Choice
from worker.amqp.consumer import QueueConsumer
from worker.amqp.copies import JobCopies
from worker.amqp.partitions import NetworkPartitions
from worker.amqp.publisher import ReplyPublisher
from worker.amqp.session import Session
from worker.amqp.task_exchanges import LeasedTaskExchanges
from worker.app.agents import agents_of
from worker.app.consumers import dropped_consumer, network_consumers
from worker.app.flow import Adapters, flow_of
from worker.app.links import links_of
from worker.app.readings import readings_of
from worker.core.rendezvous import heeds_priority
from worker.relay.keeper import Keeper
from worker.relay.ports import Clock
from worker.settings import Settings
from worker.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)


class Worker:
    """A worker: give it its settings, then :meth:`run` it once. Made within a running event loop.

    Args:
        settings: how it works.
        telemetry: what it tells of itself; by default, nothing.

    Attributes:
        started: set once the worker consumes for the first time.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        telemetry = telemetry or Telemetry()
        self._metrics = telemetry.metrics
        self._settings = settings
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._stages: list[list[asyncio.Task[None]]] = []
        self._keeping: Sequence[asyncio.Task[None]] = ()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started = asyncio.Event()

        worker = settings.worker
        loop = asyncio.get_running_loop()
        self._clock = Clock(now=loop.time, utc=lambda: datetime.now(UTC), sleep=asyncio.sleep)
        self._agents = agents_of(settings)
        choice = Choice(worker.publishing)
        self._consuming, self._publishing = links_of(settings, choice)
        self._publisher = ReplyPublisher(self._publishing, choice, self._metrics)
        self._exchanges = LeasedTaskExchanges(self._publishing, worker.id, worker.task_idle, choice)
        copies = JobCopies(self._publishing, choice)
        self._flow = flow_of(
            settings,
            Adapters(
                self._agents, self._publisher, copies, self._exchanges, self._clock, telemetry
            ),
        )
        intake = self._flow.intake
        self._consumers = {
            name: network_consumers(worker, self._consuming, name, intake.receive)
            for name in settings.networks
        }
        self._dropped = dropped_consumer(worker, self._consuming, intake.receive_dropped)
        self._keepers = [self._keeper(name) for name in settings.networks]
        self._metrics.observe(
            readings_of(
                self._flow,
                self._agents,
                (self._consuming, self._publishing),
                self._publisher,
                self._consumers,
                ready=lambda: not self.not_ready(),
            )
        )

    def stop(self) -> None:
        """Ask it to stop: finish what runs, start nothing. A second call skips the finishing."""
        if self._stopping.is_set():
            self._hurrying.set()
        self._stopping.set()

    def not_ready(self) -> Sequence[str]:
        """Return why it cannot take and answer jobs now, a line each; nothing if it can."""
        if self._stopping.is_set():
            return ["stopping"]
        reasons = [] if self.started.is_set() else ["starting"]
        if self._publisher.held_up:
            reasons.append("publishing is not possible")
        brown = self._flow.gate.brown()
        reasons += [f"network {name} is browned out: {why}" for name, why in brown.items()]
        for name, consumers in self._consumers.items():
            idle = sum(not consumer.consuming for consumer in consumers)
            if idle and name not in brown:
                reasons.append(f"network {name}: {idle} of {len(consumers)} queues not consumed")
        return reasons

    async def run(self) -> None:
        """Work until :meth:`stop` is called.

        Raises:
            ConfigurationError: the broker refused the settings, or holds another topology.
        """
        try:
            await self._until_stopped(self._start())
            await self._until_stopped(self._stopping.wait())
            log.info("stopping: finishing what runs")
        finally:
            await self._stop()
        log.info("stopped")

    async def _start(self) -> None:
        self._spawn(self._consuming.run())
        self._tell_of_spread(await self._consuming.session())
        self._spawn(self._publishing.run())
        await self._publishing.session()
        self._spawn(self._exchanges.run())
        self._spawn(*(consumer.run() for consumer in self._all_consumers))
        await asyncio.gather(*(consumer.started.wait() for consumer in self._all_consumers))
        self._keeping = self._spawn(*(keeper.run() for keeper in self._keepers))
        self.started.set()
        log.info(
            "ready: consuming %d partitions each of network %s",
            len(self._settings.worker.consumed),
            ", ".join(self._settings.networks),
        )

    @property
    def _all_consumers(self) -> list[QueueConsumer]:
        return [self._dropped, *(each for own in self._consumers.values() for each in own)]

    def _tell_of_spread(self, session: Session) -> None:
        product, version = session.server
        pinned = self._settings.worker.partition_range is not None
        if version and not pinned and not heeds_priority(version):
            log.info(
                "%s %s: partitions fail over but do not spread over the fleet;"
                " WORKER_PARTITION_RANGE pins them by hand",
                product,
                version,
            )

    async def _until_stopped(self, step: Coroutine[Any, Any, object]) -> None:
        """Run a step of life; end early when asked to stop or when a part of us breaks."""
        task = asyncio.create_task(step)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            either: list[asyncio.Future[Any]] = [task, stopping, self._broken]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._broken, task):
                if ended.done():
                    ended.result()
        finally:
            for each in (task, stopping):
                each.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)

    async def _stop(self) -> None:
        if not self._broken.cancel():
            self._broken.exception()
        self._flow.lanes.quiet()
        self._flow.gate.quiet()
        await _ended(self._keeping)
        for consumer in self._all_consumers:
            consumer.close()  # each partition is another worker's when what runs of it is done
        if not await self._drain():
            log.warning("grace is over: the rest goes back to its queues")
        await asyncio.gather(*(consumer.rested() for consumer in self._all_consumers))
        await self._publisher.aclose()
        for stage in reversed(self._stages):
            await _ended(stage)
        await asyncio.gather(*(agent.aclose() for agent in self._agents.values()))

    async def _drain(self) -> bool:
        """Let what runs finish, within the grace period and unless hurried."""
        lanes = self._flow.lanes
        draining = asyncio.create_task(lanes.drain(self._settings.worker.grace))
        hurrying = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if draining.done():
            return draining.result()
        draining.cancel()
        return await lanes.drain(0)

    def _spawn(self, *lives: Coroutine[Any, Any, None]) -> Sequence[asyncio.Task[None]]:
        """Run a stage of us in the background; if a part of it ends, all of us ends."""

        def ended(task: asyncio.Task[None]) -> None:
            if not self._broken.done():
                early = RuntimeError(f"{task.get_coro()} ended")
                error = None if task.cancelled() else task.exception()
                self._broken.set_exception(error or early)

        stage = [asyncio.create_task(life) for life in lives]
        for task in stage:
            task.add_done_callback(ended)
        self._stages.append(stage)
        return stage

    def _keeper(self, network: str) -> Keeper:
        *partitions, strays = self._consumers[network]
        queues = NetworkPartitions(partitions, [strays])
        door, agent = self._flow.gate.door(network), self._agents[network]
        return Keeper(door, agent, queues, self._clock, self._metrics)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Worker]:
    """Run a worker for the length of the context, which is entered once it is ready.

    On leaving, what still runs goes back to its queue after the grace period.

    Raises:
        ConfigurationError: the broker refused the settings, or holds another topology.
    """
    worker = Worker(settings)
    life = asyncio.create_task(worker.run())
    started = asyncio.create_task(worker.started.wait())
    try:
        await asyncio.wait({life, started}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
        yield worker
    finally:
        started.cancel()
        worker.stop()
        await asyncio.gather(life, started, return_exceptions=True)
