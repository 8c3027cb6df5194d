"""``aui-worker send``: publish one job."""

import asyncio
from typing import Annotated

import typer

from worker.client import Client
from worker.core.job_properties import DEFAULT_CHANNEL
from worker.core.topology import DEFAULT_NETWORK
from worker.settings import load_amqp_url


def send(
    text: Annotated[str, typer.Argument(help="The user's message.")],
    task: Annotated[str | None, typer.Option(help="The task to send it to.")] = None,
    user: Annotated[str | None, typer.Option(help="The user whose latest task it is for.")] = None,
    network: Annotated[str, typer.Option(help="Whose key to use.")] = DEFAULT_NETWORK,
    channel: Annotated[str, typer.Option(help="A label for subscribers.")] = DEFAULT_CHANNEL,
    updates: Annotated[str, typer.Option(help="every, off, or like 250ms.")] = "every",
    job: Annotated[str | None, typer.Option(help="The job id; random if left out.")] = None,
) -> None:
    """Publish a message as a job and print the job id."""
    if (task is None) == (user is None):
        raise typer.BadParameter("give --task or --user, and not both")

    async def publish() -> str:
        async with Client(load_amqp_url(), network, channel) as client:
            return await client.send(text, task_id=task, user_id=user, updates=updates, job_id=job)

    print(asyncio.run(publish()))
