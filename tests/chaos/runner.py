"""Plays a plan: starts the parties, asks and breaks, waits for the ends, and has them checked."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from checker import check
from disturbances import Parties, disturb
from fault_proxy import FaultProxy
from observer import DEAD, Observer
from processes import PrivateBroker, Program, environment, private_broker
from records import (
    EVENTS,
    JOURNAL,
    LOGS,
    Event,
    EventLog,
    Exit,
    Left,
    Vitals,
    now,
    read_evidence,
)
from report import Report
from schedule import Plan, PlannedFault
from vitals import memory, recovery, rss_bytes

from worker.testing.broker_process import free_ports

KEY, USER, PASSWORD = "API_KEY_canary/4f1c+=", "chaos", "canary:51d0/e2"
SECRETS = [KEY, quote(KEY, safe=""), PASSWORD, quote(PASSWORD, safe="")]
WORKERS = 2
GRACE = 8.0
PATIENCE = 75.0
"""Seconds without a job that ends, after which the rest is given up."""
TICK = 0.25
VITALS_EVERY = 2.0
WORKER_ENV = {
    "WORKER_PARTITIONS": "4",
    "WORKER_PREFETCH": "32",
    "WORKER_CONNECT_TIMEOUT": "4",
    "WORKER_FIRST_TEXT_TIMEOUT": "6",
    "WORKER_IDLE_TIMEOUT": "6",
    "WORKER_JOB_DEADLINE": "180",
    "WORKER_GRACE": f"{GRACE:g}",
    "WORKER_HTTP_PORT": "0",
    "WORKER_LOG_FORMAT": "json",
    "WORKER_LOG_LEVEL": "debug",
}


@dataclass(frozen=True)
class Pace:
    """How fast a run goes.

    Attributes:
        jobs: published a second.
        limit: seconds after the last one in which all must have ended.
        word_delay: seconds between two words of the sandbox.
    """

    jobs: float
    limit: float
    word_delay: float = 0.01


def play(
    plan: Plan, pace: Pace, directory: Path, progress: Callable[[str], None] = lambda _: None
) -> Report:
    """Play a plan in a directory, and check what came of it.

    Raises:
        BrokerError: there is no RabbitMQ to be had; the text says what to do.
    """
    with client_quiet(), private_broker() as broker:
        tasks = asyncio.run(_Run(plan, pace, directory, broker, progress).play())
    evidence = read_evidence(directory, tasks, SECRETS)
    report = check(plan, evidence, GRACE)
    report.tables["Faults"] = recovery(evidence)
    report.tables["Memory"] = memory(evidence)
    return report


@contextmanager
def client_quiet() -> Iterator[None]:
    """Have the client library keep its tracebacks: that connections are lost is the plan."""
    library = logging.getLogger("aiormq")
    level = library.level
    library.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        library.setLevel(level)


@contextmanager
def event_log(directory: Path) -> Iterator[Callable[[Event], None]]:
    """Write events to a file in a directory, in which nothing of an earlier run is left."""
    for old in (directory / JOURNAL, *directory.glob(LOGS)):
        old.unlink(missing_ok=True)
    with (directory / EVENTS).open("w") as file:
        yield EventLog(file).write


def sandbox_at(
    directory: Path, word_delay: float, ended: Callable[[Exit], None]
) -> tuple[Program, str]:
    """Make a sandbox with a journal in a directory; return it and its base URL."""
    (port,) = free_ports(1)
    options = ["--port", str(port), "--api-key", KEY, "--pace", str(word_delay)]
    words = ["sandbox", *options, "--journal", str(directory / JOURNAL)]
    ready = "sandbox of AUI on"
    program = Program("sandbox", words, environment(), directory, ready, ended)
    return program, f"http://127.0.0.1:{port}/api/ia-controller"


async def make_tasks(base_url: str, count: int) -> list[str]:
    """Have AUI make tasks; return their ids."""
    tasks = []
    headers = {"x-network-api-key": KEY}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
        for number in range(count):
            made = await http.post(
                f"{base_url}/api/v1/external/tasks", json={"user_id": f"user-{number}"}
            )
            tasks.append(made.raise_for_status().json()["id"])
    return tasks


async def until_all_ended(observer: Observer, limit: float) -> bool:
    """Wait until every accepted job has its terminal reply; tell whether that has come.

    Args:
        observer: who knows.
        limit: seconds after which it is given up.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + limit
    ended, since = 0, loop.time()
    while not observer.accepted <= observer.ended:
        if len(observer.ended) > ended:
            ended, since = len(observer.ended), loop.time()
        if loop.time() > min(until, since + PATIENCE):
            return False
        await asyncio.sleep(TICK)
    return True


class _Run:
    """One run: all its parties, and what has become of it so far."""

    def __init__(
        self,
        plan: Plan,
        pace: Pace,
        directory: Path,
        broker: PrivateBroker,
        progress: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._pace = pace
        self._directory = directory
        self._broker = broker
        self._progress = progress
        self._done = 0
        self._tasks: list[str] = []

    async def play(self) -> list[str]:
        with event_log(self._directory) as note:
            await self._broker.add_user(USER, PASSWORD)
            async with self._parties(note) as parties:
                watching = asyncio.create_task(self._watch(parties, note))
                try:
                    await self._ask_and_break(parties, note)
                    all_ended = await until_all_ended(parties.observer, self._pace.limit)
                    for queue in await self._until_empty(PATIENCE if all_ended else 0):
                        note(queue)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
                for worker in parties.workers:
                    await worker.end(signal.SIGTERM)
        return self._tasks

    @asynccontextmanager
    async def _parties(self, note: Callable[[Event], None]) -> AsyncIterator[Parties]:
        sandbox, base_url = sandbox_at(self._directory, self._pace.word_delay, note)
        async with (
            FaultProxy(f"{self._broker.url.rstrip('/')}/?heartbeat=2") as broker_link,
            FaultProxy(base_url) as aui_link,
        ):
            env = environment(
                AMQP_URL=broker_link.url,
                AUI_BASE_URL=aui_link.url,
                AUI_NETWORK_API_KEY=KEY,
                **WORKER_ENV,
            )
            workers = [
                Program(
                    f"worker-{number}",
                    ["run"],
                    env | {"WORKER_ID": f"chaos-{number}"},
                    self._directory,
                    "ready: consuming",
                    note,
                )
                for number in range(WORKERS)
            ]
            observer = Observer(self._broker.url, note)
            programs = [sandbox, *workers]
            try:
                for program in programs:
                    await program.start()
                for program in programs:
                    await program.until_ready()
                self._tasks = await make_tasks(base_url, self._plan.tasks)
                async with observer.at_work():
                    yield Parties(workers, sandbox, self._broker, broker_link, aui_link, observer)
            finally:
                for program in programs:
                    await program.end(signal.SIGKILL)

    async def _ask_and_break(self, parties: Parties, note: Callable[[Event], None]) -> None:
        waiting = deque(self._plan.faults)
        async with asyncio.TaskGroup() as faults:
            for job in self._plan.jobs:
                while waiting and waiting[0].after <= job.number:
                    faults.create_task(self._disturb(parties, waiting.popleft(), note))
                task_id = None if job.task is None else self._tasks[job.task]
                for _ in range(job.copies):
                    await parties.observer.publish(job, task_id)
                if task_id is not None:
                    parties.recent.append(task_id)
                # No catching up after an outage: the faults would come all at once.
                await asyncio.sleep(1 / self._pace.jobs)

    async def _disturb(
        self, parties: Parties, fault: PlannedFault, note: Callable[[Event], None]
    ) -> None:
        note(await disturb(parties, fault))
        self._done += 1

    async def _until_empty(self, patience: float) -> list[Left]:
        """Wait until nothing is on its way any more; return what stays in queues."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            listed = await self._broker.ctl("list_queues", "name", "messages")
            rows = (line.split("\t") for line in listed.splitlines() if "\t" in line)
            left = [
                Left(name, int(count))
                for name, count in rows
                if count.isdigit() and count != "0" and name != DEAD
            ]
            if not left or loop.time() > until:
                return left
            await asyncio.sleep(TICK)

    async def _watch(self, parties: Parties, note: Callable[[Event], None]) -> None:
        """Tell of the progress, and take the workers' pulses."""
        began = pulse = now()
        observer = parties.observer
        while True:
            self._progress(
                f"{now() - began:4.0f} s  {len(observer.accepted)} of {len(self._plan.jobs)} jobs"
                f" accepted, {len(observer.ended)} ended,"
                f" {self._done} of {len(self._plan.faults)} faults"
            )
            if now() >= pulse:
                pulse = now() + VITALS_EVERY
                for worker in parties.workers:
                    if worker.pid is not None and (size := rss_bytes(worker.pid)):
                        note(Vitals(now(), f"{worker.name}.{worker.lives}", size))
            await asyncio.sleep(TICK)
