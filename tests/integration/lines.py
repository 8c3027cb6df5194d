"""A partition for the tests: queues on a real RabbitMQ, and consumers of them without a worker."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic

from aio_pika import Message
from harness import PATIENCE, Bench

from tests.conformance.watching import running
from tests.unit.relay.flow import let_run
from worker.amqp.backoff import LONGEST
from worker.amqp.consumer import QueueConsumer
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.link import Link


class Time:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.asked: list[float] = []
        self._moved = asyncio.Condition()

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        end = self.seconds + seconds
        async with self._moved:
            self.asked.append(seconds)
            self._moved.notify_all()
            await self._moved.wait_for(lambda: self.seconds >= end)

    async def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        async with self._moved:
            self.seconds += seconds
            self._moved.notify_all()
        await let_run()

    async def pauses(self, count: int) -> list[float]:
        """Return the pauses before another try, once there are so many; age is longer."""
        async with asyncio.timeout(PATIENCE), self._moved:
            await self._moved.wait_for(lambda: len(self._short()) == count)
        return self._short()

    def _short(self) -> list[float]:
        return [seconds for seconds in self.asked if seconds <= LONGEST]


class Line:
    """A partition, whoever consumes it, and what they were handed."""

    def __init__(self, at: Bench, link: Link, stack: AsyncExitStack, queue: str) -> None:
        self._at = at
        self._link = link
        self._stack = stack
        self.queue = queue
        self.taken: asyncio.Queue[AmqpDelivery] = asyncio.Queue()

    async def publish(self, *bodies: str) -> None:
        """Queue messages."""
        exchange = self._at.channel.default_exchange
        for body in bodies:
            await exchange.publish(Message(body.encode(), delivery_mode=2), self.queue)

    def consumer(
        self,
        prefetch: int = 10,
        link: Link | None = None,
        take: Callable[[AmqpDelivery], None] | None = None,
        *,
        priority: int = 0,
        find_crashers: bool = True,
        time: Time | None = None,
    ) -> QueueConsumer:
        """Make a consumer that nobody runs."""
        return QueueConsumer(
            link or self._link,
            self.queue,
            self._at.network,
            prefetch,
            take or self.taken.put_nowait,
            priority=priority,
            find_crashers=find_crashers,
            now=time.now if time else monotonic,
            sleep=time.sleep if time else asyncio.sleep,
        )

    async def consume(self, consumer: QueueConsumer | None = None) -> QueueConsumer:
        """Run a consumer to the end of the test."""
        consumer = consumer or self.consumer()
        await self._stack.enter_async_context(running(consumer.run))
        await consumer.started.wait()
        return consumer

    async def take(self, count: int = 1) -> list[AmqpDelivery]:
        """Return the next deliveries, once they are there."""
        async with asyncio.timeout(PATIENCE):
            return [await self.taken.get() for _ in range(count)]

    async def ready(self) -> int:
        """Count the messages that nobody has been handed."""
        queue = await self._at.channel.declare_queue(self.queue, passive=True)
        return queue.declaration_result.message_count or 0

    async def until_ready(self, count: int) -> None:
        """Wait until so many messages are with nobody."""
        async with asyncio.timeout(PATIENCE):
            while await self.ready() != count:  # noqa: ASYNC110  only the broker knows
                await asyncio.sleep(0.02)

    async def hand_out_in_vain(self, times: int) -> None:
        """Have everything handed out so often, as to workers that die."""
        count = await self.ready()
        for _ in range(times):
            async with running(self.consumer(count, find_crashers=False).run):
                await self.take(count)
            await self.until_ready(count)


def bodies(deliveries: list[AmqpDelivery]) -> list[str]:
    """Return what was handed out."""
    return [each.envelope.body.decode() for each in deliveries]


def numbers(first: int, last: int) -> list[str]:
    """Return the names of some jobs."""
    return [str(number) for number in range(first, last + 1)]
