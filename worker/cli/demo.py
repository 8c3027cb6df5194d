"""``aui-worker demo``: the whole thing in one terminal, on a real RabbitMQ.

A sandbox of AUI, a worker, a producer and a subscriber; a conversation of two messages, a job
that meets close code 1011 twice, and one that ends in ``aui.dead``.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from worker.app import running
from worker.aui.agent import AuiAgent
from worker.aui.network import Network
from worker.aui.timeouts import Timeouts
from worker.cli.screen import Screen, plain
from worker.client import Client, Failed, Reply, Update
from worker.core.errors import AgentUnavailable, ConfigurationError
from worker.core.redact import Redactor
from worker.core.topology import DEFAULT_NETWORK
from worker.sandbox import Sandbox
from worker.settings import Settings, load_amqp_url, load_networks, load_worker_settings
from worker.telemetry.logs import set_up_logs

SANDBOX_KEY = "API_KEY_demo"
ANSWER_WITHIN = 120.0
TOUR = (
    ("a question", "I am looking for a built-in microwave with at least 20 liters capacity"),
    ("and the next one of the conversation", "Which one is the cheapest?"),
    (
        "AUI breaks off with close code 1011, twice, and then answers",
        "!1011 after=6 times=2 | Do any of them come in stainless steel?",
    ),
    ("AUI refuses the message: the job is kept in aui.dead", "!400 | something unacceptable"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How one job of the demo went."""

    said: str
    last: Reply
    updates: int
    attempts: int
    seconds: float


def demo(
    question: Annotated[str | None, typer.Argument(help="Ask this instead.")] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the real AUI, with AUI_NETWORK_API_KEY.")
    ] = False,
) -> None:
    """Show a conversation streaming from AUI through RabbitMQ to a subscriber."""
    console = Console()
    questions: Sequence[tuple[str, str]] = TOUR
    if question is not None:
        questions = [("your question", question)]
    elif live:
        questions = TOUR[:2]
    ended = asyncio.run(_demo(console, questions, live=live))
    console.print(_summary(ended))


async def _demo(
    console: Console, questions: Sequence[tuple[str, str]], *, live: bool
) -> list[Ended]:
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(_aui(console, live=live))
        settings = Settings(load_amqp_url(), {DEFAULT_NETWORK: network}, load_worker_settings())
        set_up_logs("console", Redactor(settings.secrets), logging.WARNING)
        await stack.enter_async_context(running(settings))
        client = await stack.enter_async_context(Client(settings.amqp_url))
        task_id = await _new_task(console, network)
        replies = await stack.enter_async_context(client.replies(task_id))
        ended = []
        for what, text in questions:
            console.print(f"\n[bold]{what}[/bold]")
            ended.append(await _ask(console, client, replies, task_id, text))
        return ended


@asynccontextmanager
async def _aui(console: Console, *, live: bool) -> AsyncIterator[Network]:
    """Lend an AUI: the real one, or a sandbox."""
    if live:
        network = next(iter(load_networks().values()))
        console.print(f"[dim]AUI[/dim]       {network.base_url}")
        yield replace(network, name=DEFAULT_NETWORK)
        return
    if os.environ.get("AUI_NETWORK_API_KEY"):
        console.print("[dim]AUI_NETWORK_API_KEY is set: --live asks the real AUI[/dim]")
    async with Sandbox(api_key=SANDBOX_KEY, word_delay=0.03) as sandbox:
        console.print(f"[dim]AUI[/dim]       a sandbox on {sandbox.base_url}")
        yield Network(DEFAULT_NETWORK, SANDBOX_KEY, sandbox.base_url)


async def _new_task(console: Console, network: Network) -> str:
    agent = AuiAgent(network, Timeouts(), 1024 * 1024, Redactor([network.api_key]))
    try:
        task = await agent.create_task("demo-user")
    except AgentUnavailable as error:
        raise ConfigurationError(f"AUI at {network.base_url}: {error}") from None
    finally:
        await agent.aclose()
    console.print(f"[dim]task[/dim]      {task.id}, watched on exchange aui.task.{task.id}")
    return task.id


async def _ask(
    console: Console,
    client: Client,
    replies: AsyncIterator[Reply],
    task_id: str,
    text: str,
) -> Ended:
    started = time.monotonic()
    job_id = await client.send(text, task_id=task_id)
    console.print(f"[dim]→ job {job_id[:8]}…[/dim] {plain(text)}", markup=True, highlight=False)
    updates = attempts = 0
    with Screen(console) as screen:
        async with asyncio.timeout(ANSWER_WITHIN):
            async for reply in replies:
                screen.show(reply)
                updates += isinstance(reply, Update)
                attempts = max(attempts, reply.attempt)
                if reply.terminal and reply.job_id == job_id:
                    break
    return Ended(text, reply, updates, attempts, time.monotonic() - started)


def _summary(ended: Sequence[Ended]) -> Table:
    table = Table("job", "ended", "attempts", "updates", "seconds", title="\nsummary")
    for one in ended:
        failed = one.last.reason if isinstance(one.last, Failed) else None
        outcome = f"[red]failed, {failed}[/]" if failed else "[green]final[/]"
        said = one.said if len(one.said) <= 48 else f"{one.said[:47]}…"
        table.add_row(
            plain(said), outcome, str(one.attempts), str(one.updates), f"{one.seconds:.1f}"
        )
    return table
