"""The whole flow over fakes, with the time in the test's hand."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tenacity import wait_fixed

from tests.conformance.script import PATIENCE
from tests.fakes import (
    FakeAgent,
    FakeCopies,
    FakeDelivery,
    FakePublisher,
    FakeTaskExchanges,
    Journal,
    ManualClock,
)
from worker.core.envelope import Envelope, Properties
from worker.core.job import Job, JobRules, decode_job
from worker.core.retry import RetryPolicy
from worker.core.slots import slot_of
from worker.relay.dead_letters import DeadLetters
from worker.relay.handler import Handler, Received
from worker.relay.intake import Intake
from worker.relay.lanes import Lanes
from worker.relay.turns import Turns
from worker.relay.users import Users

PARTITIONS = 16
PAUSE = 2.0
"""Seconds between two attempts, here without jitter."""


class Flow:
    """A worker's inside: intake, lanes and handler over one fake of everything."""

    def __init__(
        self,
        attempts: int = 5,
        deadline: float = 600.0,
        concurrency: int = 512,
        agent: type[FakeAgent] = FakeAgent,
        copies: type[FakeCopies] = FakeCopies,
    ) -> None:
        self.journal = Journal()
        self.clock = ManualClock()
        self.agent = agent(self.clock, self.journal)
        self.publisher = FakePublisher(self.journal)
        self.copies = copies(self.journal)
        self.exchanges = FakeTaskExchanges(self.journal)
        self.users = Users({"default": self.agent})
        self.turns = Turns(
            agents={"default": self.agent},
            publisher=self.publisher,
            exchanges=self.exchanges,
            policy=RetryPolicy(attempts, deadline, wait_fixed(PAUSE)),
            open_turns=asyncio.Semaphore(concurrency),
            clock=self.clock.port,
        )
        self.dead_letters = DeadLetters(self.copies, self.publisher, "worker-1", self.clock.port)
        self.handler = Handler(
            turns=self.turns,
            users=self.users,
            copies=self.copies,
            publisher=self.publisher,
            dead_letters=self.dead_letters,
            partitions=PARTITIONS,
            clock=self.clock.port,
        )
        self.lanes: Lanes[Received] = Lanes(self.handler.handle)
        self.intake = Intake(self.lanes, JobRules(), PARTITIONS)

    def take(self, envelope: Envelope) -> FakeDelivery:
        """Take a delivery of a jobs queue, as the broker hands it over."""
        delivery = FakeDelivery(envelope, self.journal)
        self.intake.receive(delivery)
        return delivery

    async def idle(self) -> None:
        """Return once everything taken is done with."""
        assert await self.lanes.drain(PATIENCE), "something never ended"

    async def handle(self, envelope: Envelope) -> FakeDelivery:
        """Take a delivery and bring it to its end."""
        delivery = self.take(envelope)
        await self.idle()
        return delivery


def message(
    task_id: str = "task_1",
    text: str = "hello",
    *,
    key: str | None = None,
    redelivered: bool = False,
    headers: dict[str, Any] | None = None,
    job_id: str | None = "job_1",
    reply_to: str | None = None,
) -> Envelope:
    """Return a job for a task, published with its slot unless another key is given."""
    return Envelope(
        network="default",
        body=json.dumps({"task_id": task_id, "text": text}).encode(),
        routing_key=slot_of(task_id) if key is None else key,
        properties=Properties(headers=headers or {}, message_id=job_id, reply_to=reply_to),
        redelivered=redelivered,
    )


def from_user(
    user_id: str = "user_1",
    text: str = "hello",
    *,
    redelivered: bool = False,
    headers: dict[str, Any] | None = None,
    job_id: str | None = "job_1",
    timestamp: datetime | None = None,
) -> Envelope:
    """Return a job by user, published with the slot of the user."""
    return Envelope(
        network="default",
        body=json.dumps({"user_id": user_id, "text": text, "extra": [1]}).encode(),
        routing_key=slot_of(user_id),
        properties=Properties(headers=headers or {}, message_id=job_id, timestamp=timestamp),
        redelivered=redelivered,
    )


def job_of(envelope: Envelope) -> Job:
    """Decode a job."""
    return decode_job(envelope, JobRules(), lambda: "made_up")


@contextmanager
def no_task_left() -> Iterator[None]:
    """Fail if what runs inside leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before
    assert not left


async def let_run() -> None:
    """Let everything run that does not wait for something."""
    for _ in range(50):
        await asyncio.sleep(0)
