"""Puts a load on one worker, and measures what comes out and what it cost."""

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from benchmarks.check import Check, Job
from benchmarks.line import Line, connect, message, subscribe
from benchmarks.load import Load, token_of
from benchmarks.outcome import Outcome
from benchmarks.program import Machine, Program, cpu_seconds, rss_kb

SETTLE = 0.3
"""Seconds after the last final, for acks and closing sockets: they are part of the cost."""
IDLE = 1.0
"""Seconds until conversations that were opened are idle."""
STUCK = 30.0
"""Seconds without any reply after which what is missing is lost."""
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Way:
    """How jobs reach a worker, and replies a subscriber.

    Attributes:
        url: of the broker, with a virtual host of the worker's own.
        queue: the jobs queue; None for ours, whose jobs go by slot to exchange ``aui.jobs``.
        exchanges: what the subscriber's one queue is bound to.
        key: by which it is.
        tasks: how many tasks there are to choose from; None where each job gets a new one.
    """

    url: str
    queue: str | None
    exchanges: Sequence[str]
    key: str
    tasks: int | None

    def task_id(self, number: int, place: int) -> str:
        """Return the task of a job: the number-th of all, at that place in its load."""
        return f"bench-{number:08d}" if self.tasks is None else f"bench-{place:05d}"

    def publish(self, task_id: str, text: str, job_id: str, pace: str) -> bytes:
        """Marshal a job."""
        body = json.dumps({"task_id": task_id, "text": text}).encode()
        headers = {"aui-channel": "bench"} | ({"aui-updates": pace} if pace else {})
        if self.queue is not None:
            return message("", self.queue, body, job_id, headers)
        slot = f"{zlib.crc32(task_id.encode()) & 0xFF:02x}"
        return message("aui.jobs", slot, body, job_id, headers)


class Driver:
    """Both ends of a worker's loads, on one line; make it with :func:`driving`.

    Args:
        way: to the worker.
        server: the load server's address.
        known: the other processes of ours, by name.
    """

    _numbers = 0
    """Of all jobs of this process: a token never comes back."""

    def __init__(self, way: Way, server: str, known: dict[str, int]) -> None:
        self._way = way
        self._server = server
        self._known = known
        self._line: Line
        self._check: Check | None = None
        self._bytes = 0
        self._waiting: list[tuple[bytes, bytes]] = []
        self._published: dict[bytes, int] = {}
        self._began = 0.0
        self._ended = 0.0

    async def open(self) -> None:
        """Connect, and subscribe."""
        self._line = await connect(self._way.url, self._take)
        await subscribe(self._line, self._way.exchanges, self._way.key)

    async def close(self) -> None:
        """Leave."""
        await self._line.close()

    async def run(self, load: Load, program: Program) -> Outcome:
        """Put a load on a worker, and wait until it is done or stuck."""
        await self._ask("/sent")
        outcome = Outcome(load.name, load.jobs, load.updates)
        empty = rss_kb(program.pid)
        check = self._prepare(load)
        before = self._cpus(program)
        await self._feed(load)
        if load.stream.hold:
            await self._until(lambda: check.seen >= load.jobs, check, program)
            await asyncio.sleep(IDLE)
            outcome.held_kb = rss_kb(program.pid) - empty
            await self._ask("/release")
        await self._until(lambda: check.ended == load.jobs, check, program)
        await asyncio.sleep(SETTLE)
        after = self._cpus(program)
        spent = [late - early for early, late in zip(before, after, strict=True)]
        outcome.cpu, *others, machine = spent
        outcome.others = dict(zip(self._known, others, strict=True))
        outcome.others["foreign"] = max(0.0, machine - sum(others) - outcome.cpu)
        outcome.rss_kb, outcome.peak_kb = rss_kb(program.pid), rss_kb(program.pid, "VmHWM")
        await self._conclude(outcome, check)
        return outcome

    def _prepare(self, load: Load) -> Check:
        jobs: dict[bytes, Job] = {}
        self._waiting = []
        for place in range(load.jobs):
            Driver._numbers += 1
            token = token_of(Driver._numbers)
            number = Driver._numbers - load.jobs if load.again else Driver._numbers
            turn = place % load.turns
            task_id = self._way.task_id(number - turn, place - turn)
            key = f"default.bench.{task_id}"
            jobs[token.encode()] = Job(f"{key}.update".encode(), f"{key}.final".encode())
            text = load.stream.request(token)
            marshalled = self._way.publish(task_id, text, f"job-{token}", load.pace)
            self._waiting.append((token.encode(), marshalled))
        self._waiting.reverse()
        self._published = {}
        self._bytes = 0
        self._check = Check(load, jobs, self._job_ended)
        return self._check

    async def _feed(self, load: Load) -> None:
        """Publish the first jobs; the others follow, one for each that ends."""
        self._began = self._ended = time.monotonic()
        first = min(load.at_once, load.jobs)
        for place in range(first):
            due = self._began + load.ramp * place / first
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            self._publish()

    def _publish(self) -> None:
        if self._waiting:
            token, marshalled = self._waiting.pop()
            self._published[token] = time.monotonic_ns()
            self._line.write(marshalled)

    def _job_ended(self) -> None:
        self._ended = time.monotonic()
        self._publish()

    def _take(self, key: bytes, body: bytes) -> None:
        self._bytes += len(body)
        if self._check is not None:
            self._check.take(key, body, time.monotonic_ns())

    async def _until(self, done: Callable[[], bool], check: Check, program: Program) -> None:
        """Wait for a condition, or until nothing comes any more."""
        progress, since = -1, time.monotonic()
        while not done():
            program.alive()
            if check.seen + check.ended != progress:
                progress, since = check.seen + check.ended, time.monotonic()
            elif time.monotonic() - since > STUCK:
                return
            await asyncio.sleep(POLL)

    async def _conclude(self, outcome: Outcome, check: Check) -> None:
        told = await self._ask("/sent")
        self._check = None
        outcome.wall = self._ended - self._began
        outcome.sockets, outcome.stalls = told["sockets"], told["stalls"]
        outcome.seen, outcome.skipped = check.seen, check.coalesced
        outcome.body_bytes = self._bytes
        for token, job in check.jobs.items():
            sent = told["sent"].get(token.decode(), [])
            check.asked(token, len(sent))
            outcome.latencies += [
                (came - sent[number - 1]) / 1e6
                for came, number in zip(job.received, job.numbers, strict=True)
                if 0 < number <= len(sent)
            ]
            if job.received and token in self._published:
                outcome.firsts.append((job.received[0] - self._published[token]) / 1e6)
        outcome.latencies.sort()
        outcome.firsts.sort()
        outcome.lost, outcome.broken, outcome.breaches = check.lost, check.broken, check.breaches

    def _cpus(self, program: Program) -> list[float]:
        pids = [program.pid, *self._known.values()]
        return [*(cpu_seconds(pid) for pid in pids), Machine.now().busy]

    async def _ask(self, path: str) -> Any:
        def fetch() -> Any:
            with urlopen(self._server + path, timeout=30) as response:  # noqa: S310 - our own
                return json.load(response)

        return await asyncio.to_thread(fetch)
