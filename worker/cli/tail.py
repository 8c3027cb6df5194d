"""``aui-worker tail``: watch answers as they stream."""

import asyncio
from contextlib import suppress
from signal import SIGINT, SIGTERM, raise_signal
from typing import Annotated

import typer
from rich.console import Console

from worker.cli.screen import Screen
from worker.client import Client
from worker.core.body import WORD, is_word
from worker.settings import load_amqp_url


def tail(
    task: Annotated[str | None, typer.Argument(help="One task; all of them if left out.")] = None,
    key: Annotated[
        str, typer.Option(help="Binding key: <network>.<channel>.<task>.<kind>, * or #.")
    ] = "#",
) -> None:
    """Watch replies live; the text is redrawn in place. Stop with Ctrl-C."""
    if task is not None and not is_word(task):
        raise typer.BadParameter(f"must match {WORD.pattern}", param_hint="TASK")

    async def watch() -> None:
        # Told to end, it takes its queue off the broker too: a reply that went there seems heard.
        asyncio.get_running_loop().add_signal_handler(SIGTERM, raise_signal, SIGINT)
        console = Console()
        keys = f"*.*.{task}.*" if task is not None and key == "#" else key
        async with Client(load_amqp_url()) as client, client.watch(keys) as replies:
            console.print(f"[dim]listening to {f'task {task}' if task else 'all tasks'}…[/dim]")
            with Screen(console, name_tasks=task is None) as screen:
                async for reply in replies:
                    if task is None or reply.task_id == task:
                        screen.show(reply)

    with suppress(KeyboardInterrupt):
        asyncio.run(watch())
