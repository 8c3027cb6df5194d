"""The producer and the subscribers: they speak to the broker itself, and survive what it does."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, DeliveryError
from pamqp.exceptions import PAMQPException
from records import Event, Letter, Published, Reply, now
from schedule import PlannedJob

from worker.core.topology import DEFAULT_NETWORK, jobs_exchange

HUB, DEAD, UNCLAIMED = "aui.replies", "aui.dead", "aui.unclaimed"
OWN_HUB, OWN_DEAD = "sub.chaos.replies", "sub.chaos.dead"
PREFETCH = 500
RETRY = 0.2
CONFIRM_TIMEOUT = 5.0
"""Seconds after which a publish is given up and done again: it may be there twice then."""
LOSSES = (AMQPError, PAMQPException, OSError, RuntimeError, TimeoutError)
"""What the client library raises when a connection or channel is gone."""


class Observer:
    """Publishes jobs until they are accepted, and notes everything that subscribers would get.

    Args:
        url: the broker's, not by way of a proxy.
        note: takes an event.
        network: to have nothing to do with the others on the broker; None to listen to them all,
            and to what is unclaimed.
    """

    def __init__(self, url: str, note: Callable[[Event], None], network: str | None = None) -> None:
        self._url = url
        self._note = note
        self._jobs = jobs_exchange(network or DEFAULT_NETWORK)
        self._key = "#" if network is None else f"{network}.#"
        self.queues: dict[str, str | None] = {OWN_HUB: HUB, OWN_DEAD: DEAD, UNCLAIMED: None}
        """What is listened to: queues, each of our own bound to an exchange."""
        if network is not None:
            self.queues = {f"{OWN_HUB}.{network}": HUB, f"{OWN_DEAD}.{network}": DEAD}
        self._producing: tuple[AbstractConnection, AbstractChannel] | None = None
        self._seen: set[tuple[str, str]] = set()
        self._listening = {name: asyncio.Event() for name in self.queues}
        self.accepted: set[str] = set()
        self.ended: set[str] = set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Listen for the length of the context, which is entered once all ears are open."""
        lives = [asyncio.create_task(self._listen(*each)) for each in self.queues.items()]
        try:
            for listening in self._listening.values():
                await listening.wait()
            yield
        finally:
            for life in lives:
                life.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
            await self._drop_producing()

    async def publish(self, job: PlannedJob, task_id: str | None) -> None:
        """Publish a job until the broker has accepted it, always with the same id."""
        body = {"text": job.text} | (
            {"user_id": job.user} if task_id is None else {"task_id": task_id}
        )
        key = str(job.user if task_id is None else task_id)
        message = aio_pika.Message(
            json.dumps(body).encode(),
            message_id=job.job_id,
            delivery_mode=2,
            timestamp=datetime.now(UTC) if job.dated else None,
        )
        routing_key = key if job.keyed_by == "id" else f"{zlib.crc32(key.encode()) & 0xFF:02x}"
        while True:
            self._note(Published(now(), job.job_id, accepted=False))
            try:
                await self._publish(message, routing_key)
            except DeliveryError:
                await asyncio.sleep(RETRY)  # refused: a queue is full, or the topology has a hole
            except (*LOSSES, asyncio.CancelledError) as error:
                _unless_cancelled(error)
                await self._drop_producing()
                await asyncio.sleep(RETRY)
            else:
                self._note(Published(now(), job.job_id, accepted=True))
                self.accepted.add(job.job_id)
                return

    async def bind_again(self) -> None:
        """Bind to the hub again, as soon as somebody has made one."""
        while True:
            try:
                async with self._connected() as connection:
                    channel = await connection.channel()
                    queue = await channel.get_queue(OWN_HUB, ensure=False)
                    await queue.bind(HUB, "#")
                    return
            except (*LOSSES, asyncio.CancelledError) as error:
                _unless_cancelled(error)
                await asyncio.sleep(RETRY)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """Lend a channel of a connection of its own."""
        async with self._connected() as connection:
            yield await connection.channel()

    async def _publish(self, message: aio_pika.Message, key: str) -> None:
        async with asyncio.timeout(CONFIRM_TIMEOUT):
            if self._producing is None:
                connection = await aio_pika.connect(self._url)
                channel = await connection.channel(on_return_raises=True)
                self._producing = connection, channel
            _, channel = self._producing
            jobs = await channel.get_exchange(self._jobs, ensure=False)
            await jobs.publish(message, key, mandatory=True)

    async def _drop_producing(self) -> None:
        producing, self._producing = self._producing, None
        if producing is not None:
            await _close(producing[0])

    async def _listen(self, queue: str, exchange: str | None) -> None:
        """Consume a queue until cancelled; with an exchange, one of our own that is bound to it."""
        while True:
            try:
                async with self._connected() as connection:
                    gone = asyncio.Event()
                    connection.close_callbacks.add(lambda *_, gone=gone: gone.set())
                    await self._consume(await connection.channel(), queue, exchange, gone)
                    self._listening[queue].set()
                    await gone.wait()
            except (*LOSSES, asyncio.CancelledError) as error:
                _unless_cancelled(error)
            await asyncio.sleep(RETRY)

    async def _consume(
        self, channel: AbstractChannel, queue: str, exchange: str | None, gone: asyncio.Event
    ) -> None:
        raw = await channel.get_underlay_channel()
        raw.on_consumer_cancel_callbacks.add(lambda _: gone.set())
        channel.close_callbacks.add(lambda *_: gone.set())
        await channel.set_qos(PREFETCH)
        if exchange is None:
            declared = await channel.declare_queue(queue, passive=True)
        else:
            declared = await channel.declare_queue(queue, durable=True)
            await declared.bind(exchange, self._key)
        take = self._take_letter if exchange == DEAD else self._take_reply
        place = "unclaimed" if exchange is None else "hub"

        async def receive(message: AbstractIncomingMessage) -> None:
            # A redelivery of what is noted already is our own lost ack, not a repeat of a worker.
            noted = (place, f"{message.message_id} {message.type} {message.routing_key}")
            if not message.redelivered or noted not in self._seen:
                self._seen.add(noted)
                take(message, place)
            with suppress(*LOSSES):
                await message.ack()

        await declared.consume(receive)

    def _take_reply(self, message: AbstractIncomingMessage, place: str) -> None:
        reply = Reply(
            now(),
            place,
            message.routing_key or "",
            message.type or "",
            message.message_id or "",
            dict(message.headers),
            message.body.decode(),
        )
        if reply.terminal:
            self.ended.add(reply.job_id)
        self._note(reply)

    def _take_letter(self, message: AbstractIncomingMessage, _: str) -> None:
        self._note(
            Letter(
                now(),
                message.routing_key or "",
                message.message_id or "",
                dict(message.headers),
                message.body.decode(),
            )
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        connection = await aio_pika.connect(self._url, timeout=CONFIRM_TIMEOUT)
        try:
            yield connection
        finally:
            await _close(connection)


def _unless_cancelled(error: BaseException) -> None:
    """Go on after a loss; a connection that dies of missed heartbeats cancels who waits for it."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(CONFIRM_TIMEOUT):
            await connection.close()
    except (*LOSSES, asyncio.CancelledError) as error:
        _unless_cancelled(error)
