"""A worker, a producer and subscribers around a real RabbitMQ, for the integration tests."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
)
from witness import hold

from worker.app import Worker, running
from worker.aui.network import Network
from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange, topology
from worker.sandbox import Sandbox
from worker.settings import Settings, WorkerSettings

CANARY = "API_KEY_canary_4f1c"
TERMINAL = ("message.completed", "message.failed")
PATIENCE = 30.0
PARTITIONS = 2


def settings(amqp_url: str, sandbox: Sandbox, *networks: str, **worker: Any) -> Settings:
    """Return the settings of a worker for these networks of a sandbox."""
    defaults: dict[str, Any] = {"partitions": PARTITIONS, "grace": 5.0}
    return Settings(
        amqp_url,
        {name: Network(name, CANARY, sandbox.base_url) for name in networks},
        WorkerSettings(**defaults | worker),
    )


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """Run a worker in this loop for the length of the context, and end it at once."""
    async with running(settings) as worker:
        yield worker
        worker.stop()


@dataclass(frozen=True)
class Got:
    """One message as a subscriber got it."""

    body: bytes
    headers: dict[str, Any]
    exchange: str
    routing_key: str
    type: str | None
    message_id: str | None
    correlation_id: str | None
    content_type: str | None
    delivery_mode: int | None
    priority: int | None
    user_id: str | None
    expiration: object
    app_id: str | None


def got(message: AbstractIncomingMessage) -> Got:
    """Read a message of the client library."""
    return Got(
        body=message.body,
        headers=dict(message.headers),
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        type=message.type,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        delivery_mode=message.delivery_mode,
        priority=message.priority,
        user_id=message.user_id,
        expiration=message.expiration,
        app_id=message.app_id,
    )


@dataclass
class Inbox:
    """Messages of one queue, in the order in which they came."""

    messages: list[Got] = field(default_factory=list)
    stirred: asyncio.Condition = field(default_factory=asyncio.Condition)
    by_job: dict[object, list[Got]] = field(default_factory=dict)

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Keep a message."""
        hold(message)
        async with self.stirred:
            taken = got(message)
            self.messages.append(taken)
            self.by_job.setdefault(taken.headers.get("aui-job-id"), []).append(taken)
            self.stirred.notify_all()
        await message.ack()

    async def until(
        self, enough: Callable[[list[Got]], bool], patience: float = PATIENCE
    ) -> list[Got]:
        """Wait until what came is enough, and return all of it."""
        async with asyncio.timeout(patience), self.stirred:
            await self.stirred.wait_for(lambda: enough(self.messages))
        return self.messages

    async def ended(self, job_id: str, patience: float = PATIENCE) -> Got:
        """Wait for the terminal reply of a job."""
        await self.until(lambda _: bool(self.terminals(job_id)), patience)
        return self.terminals(job_id)[0]

    def of(self, job_id: str) -> list[Got]:
        """Return what came about one job."""
        return self.by_job.get(job_id, [])

    def terminals(self, job_id: str) -> list[Got]:
        """Return the terminal replies of a job."""
        return [m for m in self.of(job_id) if m.type in TERMINAL]

    def texts(self, job_id: str) -> list[str]:
        """Return the texts of the updates of a job."""
        updates = [m for m in self.of(job_id) if m.type == "message.updated"]
        return [json.loads(m.body)["data"]["text"] for m in updates]


class Bench:
    """A producer's and subscriber's side of the broker, for one network."""

    def __init__(
        self, connection: AbstractConnection, channel: AbstractChannel, network: str
    ) -> None:
        self.connection = connection
        self.channel = channel
        self.network = network

    async def another(self) -> "Bench":
        """Return a bench with a channel of its own."""
        channel = await self.connection.channel(on_return_raises=True)
        return Bench(self.connection, channel, self.network)

    async def jobs(self) -> AbstractExchange:
        """Return the exchange of the network's jobs."""
        return await self.channel.get_exchange(jobs_exchange(self.network), ensure=False)

    async def listen(self, exchange: str, key: str, **queue: Any) -> Inbox:
        """Bind a queue of one's own and collect what comes."""
        inbox = Inbox()
        declared = await self.channel.declare_queue(exclusive=True, **queue)
        await declared.bind(exchange, key)
        await declared.consume(inbox.take)
        return inbox

    async def hub(self, key: str | None = None) -> Inbox:
        """Collect the network's replies."""
        return await self.listen("aui.replies", key or f"{self.network}.#")

    async def dead(self) -> Inbox:
        """Collect the network's dead letters."""
        return await self.listen("aui.dead", f"{self.network}.#")

    async def publish(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        key: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> str:
        """Publish a job, by default to the slot of its task or user; return its id."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        if key is None and not isinstance(body, bytes):
            key = slot_of(str(body.get("task_id") or body.get("user_id") or ""))
        properties.setdefault("message_id", uuid.uuid4().hex)
        message = aio_pika.Message(raw, headers=dict(headers or {}), delivery_mode=2, **properties)
        exchange = await self.jobs()
        await exchange.publish(message, key or "00", mandatory=True)
        return str(properties["message_id"])

    async def say(self, task_id: str, text: str, **more: Any) -> str:
        """Publish a message to a task; return the job id."""
        return await self.publish({"task_id": task_id, "text": text}, **more)


@asynccontextmanager
async def bench(
    amqp_url: str,
    network: str | None = None,
    *,
    partitions: int = PARTITIONS,
    keep: bool = False,
) -> AsyncIterator[Bench]:
    """Connect to the broker; remove the network's queues in the end, unless they are to stay."""
    network = network or f"t{uuid.uuid4().hex[:8]}"
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        try:
            yield Bench(connection, channel, network)
        finally:
            if not keep:
                await remove(await connection.channel(), network, partitions)


async def remove(channel: AbstractChannel, network: str, partitions: int) -> None:
    """Delete what a network left on the broker."""
    objects = topology([network], partitions)
    for queue in objects.queues:
        if network in queue.name:
            await channel.queue_delete(queue.name)
    for exchange in objects.exchanges:
        if network in exchange.name:
            await channel.exchange_delete(exchange.name)
