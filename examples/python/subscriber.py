import asyncio
import json
import os
import sys

import aio_pika


async def main(task_id: str) -> None:
    connection = await aio_pika.connect(os.environ.get("AMQP_URL", "amqp://localhost/"))
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("aui.replies", routing_key=f"*.*.{task_id}.*")
        print("listening", flush=True)
        async with queue.iterator() as replies:
            async for reply in replies:
                await reply.ack()
                body = json.loads(reply.body)
                print(reply.type, body.get("data", body).get("text"), flush=True)
                if reply.type in ("message.completed", "message.failed"):
                    return


asyncio.run(main(*sys.argv[1:]))
