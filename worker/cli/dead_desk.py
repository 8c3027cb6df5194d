"""What the commands about letters have in common: options, the connection, and how they end."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from worker.amqp.dead_queue import LettersBusy, NoLetters
from worker.amqp.link import linked
from worker.cli.screen import plain
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob, LinkLost
from worker.core.job_properties import JobRules
from worker.dead.desk import Desk
from worker.dead.head import Head
from worker.dead.lines import NoLetter
from worker.dead.run import Outcome
from worker.dead.wanted import NoSuchLetter, Wanted, chosen
from worker.settings import load_amqp_url, load_worker_settings

FAILED = 1
TOLD = 20
"""Letters of which it is said one by one that they were left where they are."""
R = TypeVar("R")

Jobs = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="Job ids; ID#2 is the second letter of that id."),
]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only these; repeat for more.")]
Networks = Annotated[list[str] | None, typer.Option("--network", help="Only of these.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Only of these.")]
Channels = Annotated[list[str] | None, typer.Option("--channel", help="Only of these.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")]
Everything = Annotated[bool, typer.Option("--all", help="All letters, if nothing else is said.")]


def wanted_of(
    jobs: Sequence[str] | None,
    reasons: Sequence[str] | None,
    networks: Sequence[str] | None,
    tasks: Sequence[str] | None,
    channels: Sequence[str] | None,
    limit: int | None = None,
) -> Wanted:
    """Return the choice that options make."""
    return Wanted(jobs or (), reasons or (), networks or (), tasks or (), channels or (), limit)


def refuse_all(wanted: Wanted, everything: bool) -> None:
    """Refuse to act on all letters by a slip of the finger."""
    if wanted.anything and not everything:
        raise typer.BadParameter("say which: JOB, --reason, --network, --task, --channel or --all")


def rules() -> JobRules:
    """Return the contract's limits, as a worker with these settings has them."""
    worker = load_worker_settings()
    return JobRules(worker.max_job_bytes, re.compile(worker.reply_to_pattern))


async def heads_of(desk: Desk, wanted: Wanted) -> list[Head]:
    """Look, and return the outside of the letters that are meant."""
    return chosen(await desk.look(), wanted)


async def letters_of(desk: Desk, wanted: Wanted) -> list[tuple[Head, Envelope]]:
    """Return the letters that are meant, whole."""
    return [found async for found in desk.read(await heads_of(desk, wanted))]


def at_desk(work: Callable[[Desk], Coroutine[Any, Any, R]]) -> R:
    """Connect, do the work, and end the program in a line if it cannot be done."""

    async def connected() -> R:
        async with linked("dead letters", load_amqp_url()) as link:
            return await work(Desk(await link.session(), time.monotonic))

    try:
        return asyncio.run(connected())
    except (LettersBusy, NoLetters, NoSuchLetter, NoLetter, InvalidJob) as error:
        fail(str(error))
    except LinkLost as error:
        fail(f"the connection was lost: {error}; run it again")


@contextmanager
def summed_up(outcome: Outcome, done: str) -> Iterator[None]:
    """Say in the end what became of letters, also if it comes early."""
    try:
        yield
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    finally:
        for head, why in outcome.left[:TOLD]:
            print(f"left {plain(head.name)}: {plain(why)}", file=sys.stderr)
        more = len(outcome.left) - TOLD
        if more > 0:
            print(f"left {more} more", file=sys.stderr)
        left = f", {len(outcome.left)} left" if outcome.left else ""
        print(f"{outcome.done} {done}{left}")
    if outcome.left:
        raise typer.Exit(FAILED)


def fail(why: str) -> NoReturn:
    """End the program with a line."""
    print(f"aui-worker: {plain(why)}", file=sys.stderr)
    raise typer.Exit(FAILED)
