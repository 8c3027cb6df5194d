import asyncio
import os
import sys

from worker.client import Client, JobFailed


async def main(user_id: str, text: str) -> None:
    async with Client(os.environ.get("AMQP_URL", "amqp://localhost/"), channel="sms") as aui:
        try:
            final = await aui.ask(text, user_id=user_id)
        except JobFailed as error:
            print(error.advice)  # rephrase, try_later, operator
        else:
            print(final.text, *final.followup_suggestions, sep="\n")


asyncio.run(main(*sys.argv[1:]))
