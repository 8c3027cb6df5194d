"""The whole flow over fakes, with the time in the test's hand."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from tenacity import wait_fixed

from tests.conformance.script import PATIENCE
from tests.fakes import (
    FakeAgent,
    FakeChannel,
    FakeCopies,
    FakeDelivery,
    FakePublisher,
    FakeTaskExchanges,
    Journal,
    ManualClock,
)
from worker.core import headers as h
from worker.core.brownout import Tolerance
from worker.core.envelope import Envelope, Properties
from worker.core.job import Job, decode
from worker.core.job_properties import JobRules
from worker.core.retry import RetryPolicy
from worker.core.slots import slot_of
from worker.relay.attempts import Attempts
from worker.relay.dead_letters import DeadLetters
from worker.relay.endings import Endings
from worker.relay.finished import Finished
from worker.relay.gate import Gate
from worker.relay.handler import Handler
from worker.relay.intake import Intake
from worker.relay.lanes import Lanes
from worker.relay.memory import Memory
from worker.relay.places import Limits
from worker.relay.placing import Placing
from worker.relay.received import Received
from worker.relay.recovery import Recovery
from worker.relay.requests import Requests
from worker.relay.turns import Turns
from worker.relay.users import Users
from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import Tracing

PARTITIONS = 16
PAUSE = 2.0
"""Seconds between two attempts, here without jitter."""


class World:
    """What workers share: the time, AUI, and what the broker keeps."""

    def __init__(
        self,
        agent: type[FakeAgent] = FakeAgent,
        copies: type[FakeCopies] = FakeCopies,
        clock: type[ManualClock] = ManualClock,
    ) -> None:
        self.journal = Journal()
        self.clock = clock()
        self.agent = agent(self.clock, self.journal)
        self.publisher = FakePublisher(self.journal)
        self.copies = copies(self.journal)


class Flow:
    """A worker's inside: intake, lanes and handler over one fake of everything."""

    def __init__(
        self,
        attempts: int = 5,
        deadline: float = 600.0,
        concurrency: int = 512,
        brownout_after: int = 1000,
        world: World | None = None,
        tracing: Tracing | None = None,
        metrics: Metrics | None = None,
        *,
        texts_told: bool = False,
    ) -> None:
        self.world = world or World()
        self.journal, self.clock = self.world.journal, self.world.clock
        self.agent, self.publisher = self.world.agent, self.world.publisher
        self.copies = self.world.copies
        self.exchanges = FakeTaskExchanges(self.journal)
        clock, agents = self.clock.port, {"default": self.agent}
        self.users = Users(agents)
        limits = {"default": Limits(concurrency)}
        self.gate = Gate(limits, concurrency, Tolerance(brownout_after), clock)
        policy = RetryPolicy(attempts, deadline, wait_fixed(PAUSE))
        self.attempts = Attempts(self.publisher, self.gate, policy, clock)
        self.memory = Memory()
        self.recovery = Recovery(agents, self.memory, clock)
        self.turns = Turns(
            agents=agents,
            publisher=self.publisher,
            exchanges=self.exchanges,
            attempts=self.attempts,
            recovery=self.recovery,
            memory=self.memory,
            gate=self.gate,
            clock=clock,
        )
        self.dead_letters = DeadLetters(self.copies, self.publisher, "worker-1", clock)
        self.finished = Finished()
        self.handler = Handler(
            turns=self.turns,
            requests=Requests(agents, self.users, self.attempts, clock),
            placing=Placing(self.users, self.attempts, self.copies, self.publisher, clock),
            endings=Endings(self.publisher, self.dead_letters, self.finished, self.memory),
            partitions=PARTITIONS,
            clock=clock,
            tracing=tracing or Tracing(),
            metrics=metrics or Metrics(),
            texts_told=texts_told,
        )
        self.lanes: Lanes[Received] = Lanes(self.handler.handle)
        self.intake = Intake(self.lanes, JobRules(), PARTITIONS, clock)

    def take(self, envelope: Envelope, channel: FakeChannel | None = None) -> FakeDelivery:
        """Take a delivery of a jobs queue, as the broker hands it over."""
        delivery = FakeDelivery(envelope, self.journal, channel, self.clock.seconds)
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

    async def die(self) -> None:
        """End as a killed process does: nothing more is published or settled."""
        assert not await self.lanes.drain(0), "it had nothing left to do"


def message(
    task_id: str = "task_1",
    text: str = "hello",
    *,
    key: str | None = None,
    redelivered: bool = False,
    headers: dict[str, Any] | None = None,
    job_id: str | None = "job_1",
    reply_to: str | None = None,
    timestamp: datetime | None = None,
) -> Envelope:
    """Return a job for a task, published with its slot unless another key is given."""
    return Envelope(
        network="default",
        body=json.dumps({"task_id": task_id, "text": text}).encode(),
        routing_key=slot_of(task_id) if key is None else key,
        properties=Properties(
            headers=headers or {}, message_id=job_id, reply_to=reply_to, timestamp=timestamp
        ),
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


def again(envelope: Envelope, count: int = 1) -> Envelope:
    """Return a job as it is handed out for the second time, or more often."""
    headers = {**envelope.properties.headers, h.DELIVERY_COUNT: count}
    return replace(
        envelope, properties=replace(envelope.properties, headers=headers), redelivered=True
    )


def job_of(envelope: Envelope) -> Job:
    """Decode a job."""
    job = decode(envelope, JobRules(), lambda: "made_up")
    assert isinstance(job, Job)
    return job


def received_of(envelope: Envelope, at: float = 0.0) -> Received:
    """Return a job as it was received at that time."""
    job = job_of(envelope)
    return Received(FakeDelivery(envelope), job.address, job.attempt_base, job, at=at)


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
