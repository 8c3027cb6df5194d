import asyncio
import json
import os
import sys

import aio_pika


async def main(task_id: str, text: str) -> None:
    connection = await aio_pika.connect(os.environ.get("AMQP_URL", "amqp://localhost/"))
    async with connection:
        channel = await connection.channel(on_return_raises=True)  # confirms are on
        jobs = await channel.get_exchange("aui.jobs")
        body = json.dumps({"task_id": task_id, "text": text}).encode()
        job = aio_pika.Message(body, delivery_mode=2, message_id=f"{task_id}-1")
        await jobs.publish(job, routing_key=task_id, mandatory=True)


asyncio.run(main(*sys.argv[1:]))
