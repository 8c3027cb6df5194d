"""Plays a fleet: three workers that come and go while conversations run (scripts/chaos --fleet)."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import aio_pika
from broker import Broker, BrokerError, running_broker
from fleet_checker import check_fleet
from fleet_plan import WORKERS, ChangeKind, FleetPlan, fleet_plan
from observer import Observer
from processes import Program, environment
from records import Event, Happened, Left, now, read_evidence
from report import Report
from runner import (
    KEY,
    SECRETS,
    TICK,
    client_quiet,
    event_log,
    make_tasks,
    sandbox_at,
    until_all_ended,
)
from terminal import progress, say

from worker.core.topology import Topology, topology

NETWORK = "fleet"
PARTITIONS = 16
GRACE = 10.0
LIMIT = 300.0
"""Seconds after the last job in which all must have ended."""
WORKED = 10
"""Jobs that must have ended between two changes: each time the fleet has settled down to work."""
WORD_DELAY = 0.01
SPREADING = 4
"""The first major version of RabbitMQ that moves partitions to the workers they belong to."""
UNAVAILABLE = 69
CONVERSATIONS, MESSAGES, ROUNDS, RATE = 1000, 10, 3, 60.0
SIGNALS = {ChangeKind.STOP: signal.SIGTERM, ChangeKind.KILL: signal.SIGKILL}


def play_fleet(
    plan: FleetPlan,
    rate: float,
    directory: Path,
    broker: Broker,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Play a plan in a directory, in a network of the fleet's own, and check what came of it.

    Args:
        plan: what is to happen.
        rate: jobs published a second, at most.
        directory: where journal, events and logs go.
        broker: any, private or not; nothing is left on it.
        tell: takes a line a moment.
    """
    with client_quiet():
        tasks = asyncio.run(_Fleet(plan, rate, directory, broker.url, tell).play())
    evidence = read_evidence(directory, tasks, SECRETS)
    return check_fleet(plan, evidence, GRACE, spread=spreads(broker))


def spreads(broker: Broker) -> bool:
    """Tell whether a broker moves partitions between workers; else they only fail over."""
    return int(broker.version.partition(".")[0]) >= SPREADING


class _Fleet:
    """One run: its parties, and how far it has come."""

    def __init__(
        self,
        plan: FleetPlan,
        rate: float,
        directory: Path,
        url: str,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._rate = rate
        self._directory = directory
        self._url = url
        self._tell = tell
        self._reached = {change.after: asyncio.Event() for change in plan.changes}
        # No change begins before the one before it is over, and half of the jobs between them are
        # kept for that time: however slow a change is, there is work after it.
        self._over = {change.number: asyncio.Event() for change in plan.changes}
        self._pauses = {
            (one.after + other.after) // 2: self._over[one.number]
            for one, other in pairwise(plan.changes)
        }

    async def play(self) -> list[str]:
        with event_log(self._directory) as note:
            async with self._parties(note) as (workers, tasks, observer):
                watching = asyncio.create_task(self._watch(observer))
                try:
                    async with asyncio.TaskGroup() as group:
                        changing = group.create_task(self._change(workers, observer, note))
                        await self._ask(tasks, observer, changing)
                    await until_all_ended(observer, LIMIT)
                finally:
                    watching.cancel()
                await asyncio.gather(*(worker.end(signal.SIGTERM) for worker in workers))
                async for left in self._left():
                    note(left)
        return tasks

    @asynccontextmanager
    async def _parties(
        self, note: Callable[[Event], None]
    ) -> AsyncIterator[tuple[list[Program], list[str], Observer]]:
        sandbox, base_url = sandbox_at(self._directory, WORD_DELAY, note)
        workers = [self._worker(name, base_url, note) for name in WORKERS]
        observer = Observer(self._url, note, NETWORK)
        await self._clear(observer)
        try:
            await sandbox.start()
            await workers[0].start()
            await sandbox.until_ready()
            tasks = await make_tasks(base_url, self._plan.asked.tasks)
            await workers[0].until_ready()
            async with observer.at_work():
                yield workers, tasks, observer
        finally:
            for program in (*workers, sandbox):
                await program.end(signal.SIGKILL)
            await self._clear(observer)

    def _worker(self, name: str, base_url: str, note: Callable[[Event], None]) -> Program:
        env = environment(
            **{
                "AMQP_URL": self._url,
                f"AUI_NETWORKS__{NETWORK}__API_KEY": KEY,
                f"AUI_NETWORKS__{NETWORK}__BASE_URL": base_url,
                "WORKER_ID": name,
                "WORKER_PARTITIONS": str(PARTITIONS),
                "WORKER_GRACE": f"{GRACE:g}",
                "WORKER_HTTP_PORT": "0",
                "WORKER_LOG_FORMAT": "json",
            }
        )
        return Program(f"worker-{name}", ["run"], env, self._directory, "ready: consuming", note)

    async def _ask(
        self, tasks: list[str], observer: Observer, changing: asyncio.Task[None]
    ) -> None:
        """Publish every job, the last of them when the fleet is whole again."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for job in self._plan.asked.jobs:
            if job.number in self._pauses:
                await self._pauses[job.number].wait()
            if job.number in self._reached:
                self._reached[job.number].set()
            if job.number == self._plan.whole_from:
                await changing
            due = max(due + 1 / self._rate, loop.time())  # no catching up
            await asyncio.sleep(due - loop.time())
            await observer.publish(job, tasks[job.task or 0])

    async def _change(
        self, workers: list[Program], observer: Observer, note: Callable[[Event], None]
    ) -> None:
        """Make the changes, one after another."""
        settled = 0
        for change in self._plan.changes:
            await self._reached[change.after].wait()
            async with asyncio.timeout(LIMIT):
                while len(observer.ended) < settled:  # noqa: ASYNC110  only the observer knows
                    await asyncio.sleep(TICK)
            worker = workers[change.worker]
            began = now()
            if change.kind in SIGNALS:
                await worker.end(SIGNALS[change.kind])
                await asyncio.sleep(change.away)
            await worker.start()
            await worker.until_ready()
            note(Happened(change.number, change.kind, began, now(), WORKERS[change.worker]))
            self._over[change.number].set()
            settled = len(observer.ended) + WORKED

    async def _watch(self, observer: Observer) -> None:
        began = now()
        while True:
            changed = sum(over.is_set() for over in self._over.values())
            self._tell(
                f"{now() - began:4.0f} s  {len(observer.accepted)} of"
                f" {len(self._plan.asked.jobs)} jobs accepted, {len(observer.ended)} ended,"
                f" {changed} of {len(self._over)} changes"
            )
            await asyncio.sleep(TICK)

    async def _left(self) -> AsyncIterator[Left]:
        """Tell what is in the queues now that nobody consumes them: what was never acked is."""
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            for queue in _own().queues:
                found = await channel.declare_queue(queue.name, passive=True)
                if count := found.declaration_result.message_count:
                    yield Left(queue.name, count)

    async def _clear(self, observer: Observer) -> None:
        """Delete what a fleet leaves on the broker."""
        own = _own()
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            for name in (*observer.queues, *(queue.name for queue in own.queues)):
                await channel.queue_delete(name)
            for exchange in own.exchanges:
                await channel.exchange_delete(exchange.name)


def _own() -> Topology:
    """Return what belongs to the fleet's network alone."""
    shared, every = topology([], PARTITIONS), topology([NETWORK], PARTITIONS)
    return Topology(
        [exchange for exchange in every.exchanges if exchange not in shared.exchanges],
        [queue for queue in every.queues if queue not in shared.queues],
        [],
    )


def main() -> int:
    """Run the command line; 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="scripts/chaos --fleet", description=__doc__)
    parser.add_argument("--seed", type=int, help="replays the plan that a report names")
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS, help="how many")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="in each")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of a SIGTERM and a SIGKILL")
    parser.add_argument("--rate", type=float, default=RATE, help="jobs a second")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep events, journal and logs")
    options = parser.parse_args()
    seed = secrets.randbelow(10_000) if options.seed is None else options.seed
    plan = fleet_plan(seed, options.conversations, options.messages, options.rounds)
    try:
        with running_broker() as broker, TemporaryDirectory(prefix="aui-fleet-") as temporary:
            title = described(plan, broker)
            say(title)
            directory = options.keep or Path(temporary)
            directory.mkdir(parents=True, exist_ok=True)
            report = play_fleet(plan, options.rate, directory.resolve(), broker, progress)
    except BrokerError as error:
        say(f"chaos: {error}")
        return UNAVAILABLE
    written = report.markdown(title)
    if options.report is not None:
        options.report.write_text(written)
    sys.stdout.write(f"\n{written}")
    if not report.valid:
        named = [] if options.seed is not None else [f"--seed={seed}"]
        replay = [*sys.argv[1:], *named]
        say("the changes were:", *(f"  {change}" for change in plan.changes))
        say(f"replay with: scripts/chaos --fleet {shlex.join(replay)}")
    return int(not report.valid)


def described(plan: FleetPlan, broker: Broker) -> str:
    """Say in a line what a plan holds, and where it is played."""
    return (
        f"Fleet: seed {plan.asked.seed}, {plan.asked.tasks} conversations of {plan.messages}"
        f" messages, {len(WORKERS)} workers, {len(plan.changes)} changes,"
        f" RabbitMQ {broker.version}"
    )


if __name__ == "__main__":
    sys.exit(main())
