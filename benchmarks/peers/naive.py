"""The worker a team would write first: aio-pika and websockets as their documentation shows them.

A peer to measure against; what is asked of each is in ``benchmarks/README.md``.
"""

import asyncio
import json
import os
import signal
import sys

import aio_pika
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from websockets.asyncio.client import connect


async def answer(channel: AbstractChannel, url: str, job: AbstractIncomingMessage) -> None:
    """Hold one conversation, and publish what is said in it."""
    task_id = json.loads(job.body)["task_id"]
    exchange = await channel.declare_exchange(f"aui.task.{task_id}", aio_pika.ExchangeType.TOPIC)
    async with connect(url) as socket:
        await socket.send(job.body.decode())
        async for frame in socket:
            final = "event" not in json.loads(frame)
            body = frame if isinstance(frame, bytes) else frame.encode()
            message = aio_pika.Message(
                body,
                content_type="application/json",
                delivery_mode=DeliveryMode.PERSISTENT if final else DeliveryMode.NOT_PERSISTENT,
            )
            kind = "final" if final else "update"
            await exchange.publish(message, f"default.bench.{task_id}.{kind}")
            if final:
                break
    await job.ack()


async def main() -> None:
    """Take jobs until told to stop."""
    url = os.environ["AUI_WS_URL"]
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    connection = await aio_pika.connect_robust(os.environ["AMQP_URL"])
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=int(os.environ["BENCH_PREFETCH"]))
        queue = await channel.get_queue(os.environ["BENCH_QUEUE"])
        running: set[asyncio.Task[None]] = set()

        async def take(job: AbstractIncomingMessage) -> None:
            task = asyncio.create_task(answer(channel, url, job))
            running.add(task)
            task.add_done_callback(running.discard)

        await queue.consume(take)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopped.wait()


asyncio.run(main())
