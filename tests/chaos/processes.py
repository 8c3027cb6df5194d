"""The parties of a run as processes of their own: workers, a sandbox of AUI, and a broker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit, urlunsplit

from broker import Broker, BrokerError, running_broker
from records import Exit, now

ROOT = Path(__file__).parents[2]
LAUNCH = Path(__file__).with_name("launch.py")
PATIENCE = 60.0
POLL = 0.05
PAUSE = 0.3
"""Seconds before a program that ended by itself is started again."""


class Program:
    """``aui-worker WORDS``, in one life after another; each writes a log of its own.

    Args:
        name: for logs and reports.
        words: the command.
        env: its whole environment.
        directory: where its logs go, and its working directory.
        ready: what it writes once it is up.
        ended: told of the end of each life.
    """

    def __init__(
        self,
        name: str,
        words: list[str],
        env: Mapping[str, str],
        directory: Path,
        ready: str,
        ended: Callable[[Exit], None],
    ) -> None:
        self.name = name
        self.lives = 0
        self._words = words
        self._env = env
        self._directory = directory
        self._ready = ready
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[None] | None = None
        self._asked = ""
        self._asked_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    @property
    def log(self) -> Path:
        """What the current life writes."""
        return self._directory / f"{self.name}.{self.lives}.log"

    async def start(self) -> None:
        """Start a life; it is started again, should it end without being told to."""
        self.lives += 1
        self._asked = ""
        with self.log.open("wb") as out:
            self._process = await self._spawn(out)
        self._life = asyncio.create_task(self._watch(self._process))

    async def until_ready(self) -> None:
        """Wait until it is up.

        Raises:
            TimeoutError: it is not; the text ends with what it wrote.
        """
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            written = self.log.read_text(errors="replace")
            if self._ready in written:
                return
            if asyncio.get_running_loop().time() > until:
                raise TimeoutError(f"{self.name} is not ready: {written[-2000:]}")
            await asyncio.sleep(POLL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is there."""
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._asked, self._asked_at = number.name, now()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self, number: signal.Signals) -> None:
        """Send a signal that ends it, and wait for the end."""
        self.send(number)
        if self._life is not None:
            await self._life

    async def _spawn(self, out: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(LAUNCH)),
            *(sys.executable, "-W", "default", "-m", "worker", *self._words),
            env=dict(self._env),
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        took = now() - self._asked_at if self._asked else 0.0
        self._ended(Exit(now(), f"{self.name}.{self.lives}", code, self._asked, took))
        if not self._asked:
            await asyncio.sleep(PAUSE)
        if not self._asked:
            await self.start()


def environment(**more: str) -> dict[str, str]:
    """Return a clean environment for a program."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"} | more


class PrivateBroker:
    """A RabbitMQ of the run's own: it may be frozen, killed, and told things.

    Args:
        broker: what ``scripts/broker.py`` started.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.url = broker.url

    async def add_user(self, name: str, password: str) -> None:
        """Add a user who may do anything, and take the URL's credentials from him."""
        await self.ctl("add_user", name, password)
        await self.ctl("set_permissions", name, ".*", ".*", ".*")
        parts = urlsplit(self.url)
        where = parts.netloc.rpartition("@")[2]
        self.url = urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{where}"))

    async def ctl(self, *words: str) -> str:
        """Run ``rabbitmqctl``."""
        return await asyncio.to_thread(self._broker.ctl, "-q", *words)

    def send(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        assert self._broker.pid is not None  # its kind is "process"
        os.kill(self._broker.pid, number)

    async def kill(self) -> None:
        """Kill the server, and start it on its data."""
        self.send(signal.SIGKILL)
        self._broker = await asyncio.to_thread(self._broker.restart)


@contextmanager
def private_broker() -> Iterator[PrivateBroker]:
    """Lend a RabbitMQ process of one's own, whatever broker the other tests use.

    Raises:
        BrokerError: there is none, and none can be installed; the text says what to do.
    """
    kept = {name: os.environ.pop(name, None) for name in ("TEST_AMQP_URL", "BROKER")}
    os.environ["BROKER"] = "process"
    try:
        with running_broker() as broker:
            if broker.pid is None:
                raise BrokerError("chaos: needs a RabbitMQ process of its own")
            yield PrivateBroker(broker)
    finally:
        del os.environ["BROKER"]
        os.environ.update({name: value for name, value in kept.items() if value is not None})
