"""Containers as the tests handle them: start, look inside, break, wait for what they say."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.request import urlopen

import aio_pika

from worker.core.topology import DEFAULT_NETWORK, topology
from worker.testing import AuiSandboxContainer, AuiWorkerContainer
from worker.testing.broker_container import IMAGE as RABBITMQ

__all__ = ["RABBITMQ", "Box", "Site", "published", "until"]

T = TypeVar("T")

AMQP_URL = "amqp://guest:guest@rabbitmq:5672/?heartbeat=2"
"""The broker as the workers call it; it gives up who is silent for twice this, in seconds."""
PATIENCE = 90.0
PARTITIONS = 16
READY = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"


def published(box: Any, user: str = "guest:guest") -> str:
    """Return the URL of a broker in a container, for programs on this machine."""
    return f"amqp://{user}@{box.get_container_host_ip()}:{box.get_exposed_port(5672)}/"


def until(what: str, found: Callable[[], T], patience: float = PATIENCE) -> T:
    """Wait until something is found, and return it.

    Raises:
        AssertionError: it was not, in so many seconds.
    """
    deadline = time.monotonic() + patience
    while not (it := found()):
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(0.1)
    return it


class Box:
    """A worker in a container."""

    def __init__(self, running: AuiWorkerContainer) -> None:
        self._running = running
        self.inside = running.get_wrapped_container()

    @property
    def in_flight(self) -> int:
        """How many jobs it works on."""
        with urlopen(f"{self._running.get_base_url()}/metrics", timeout=10) as page:  # noqa: S310
            told = page.read().decode()
        told_of = re.search(r"^aui_jobs_in_flight (\S+)$", told, re.MULTILINE)
        assert told_of
        return int(float(told_of[1]))

    @property
    def ready(self) -> bool:
        """It takes jobs; asked inside, since a way from here may have been cut."""
        return bool(self.inside.exec_run(["python", "-ISc", READY]).exit_code == 0)

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of its log that begin so."""
        lines = [json.loads(line) for line in self.inside.logs().splitlines()]
        return [line for line in lines if line["message"].startswith(message)]

    @property
    def ended(self) -> list[str]:
        """The jobs that it says it has ended."""
        return [line["job"] for line in self.said("job ended")]

    def exit_code(self) -> int:
        """Wait for its end."""
        code = int(self.inside.wait(timeout=PATIENCE)["StatusCode"])
        assert b"Traceback" not in self.inside.logs()
        return code


@dataclass
class Site:
    """A broker and a sandbox in a Docker network, where workers can be started."""

    network: Any
    amqp_url: str
    aui: AuiSandboxContainer
    workers: ExitStack

    def worker(self, name: str, **settings: str) -> Box:
        """Start a worker, and wait until it takes jobs.

        Args:
            name: its host name, and so its id.
            settings: more variables.
        """
        joined = {"WORKER_GRACE": "60", **settings}
        started = AuiWorkerContainer(
            AMQP_URL, self.aui, settings=joined, network=self.network, hostname=name
        )
        return Box(self.workers.enter_context(started))

    def asked(self, task_id: str) -> list[str]:
        """Return what the agent was asked in a task, in order."""
        said = self.aui.sandbox.messages(task_id)
        return [line.text for line in said if line.sender == "user"]

    def answered(self, task_id: str) -> list[str]:
        """Return what the agent answered in a task, in order."""
        said = self.aui.sandbox.messages(task_id)
        return [line.text for line in said if line.sender == "agent"]

    def assert_nothing_is_left(self) -> None:
        """No job waits, is dead, or was dropped; acks are on their way when a worker has ended."""
        until("all queues are empty", lambda: not asyncio.run(waiting(self.amqp_url)), 15)


async def waiting(amqp_url: str) -> dict[str, int]:
    """Return the queues in which messages are ready, and how many.

    Of those for replies that nobody took there is no word: who listens is the test's affair.
    """
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        counts = {}
        for queue in topology([DEFAULT_NETWORK], PARTITIONS).queues:
            declared = await channel.declare_queue(queue.name, passive=True)
            counts[queue.name] = declared.declaration_result.message_count or 0
    return {name: count for name, count in counts.items() if count and "unclaimed" not in name}
