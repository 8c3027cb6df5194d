import asyncio
import os
import sys

from worker.client import Client, Final, Update


async def main(task_id: str, text: str) -> None:
    async with (
        Client(os.environ.get("AMQP_URL", "amqp://localhost/"), channel="web") as aui,
        aui.replies(task_id) as replies,  # listens before it sends
    ):
        job_id = await aui.send(text, task_id=task_id)
        async for reply in replies:
            if isinstance(reply, Update | Final):
                print(reply.text)  # the whole text so far: it replaces the one before
            if reply.terminal and reply.job_id == job_id:
                break


asyncio.run(main(*sys.argv[1:]))
