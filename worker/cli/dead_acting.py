"""``aui-worker dead replay`` and ``drop``: what is done with letters, many at a time."""

from collections import Counter
from typing import Annotated

import typer
from aiolimiter import AsyncLimiter
from rich.console import Console

from worker.cli.dead_desk import (
    Channels,
    Everything,
    Jobs,
    Limit,
    Networks,
    Reasons,
    Tasks,
    at_desk,
    heads_of,
    refuse_all,
    rules,
    summed_up,
    wanted_of,
)
from worker.cli.dead_screen import plan_table, progress
from worker.dead.again import again, unfit
from worker.dead.desk import Desk
from worker.dead.pace import interval_of
from worker.dead.run import Outcome
from worker.dead.wanted import Wanted


def replay(
    job: Jobs = None,
    reason: Reasons = None,
    network: Networks = None,
    task: Tasks = None,
    channel: Channels = None,
    everything: Everything = False,
    limit: Limit = None,
    rate: Annotated[str | None, typer.Option(help="At most so many: 5/s, or 30/m.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what was no job, as it is.")] = False,
) -> None:
    """Send jobs again, each conversation in order; the worker looks before it asks."""
    wanted = wanted_of(job, reason, network, task, channel, limit)
    refuse_all(wanted, everything)
    replay_all(wanted, _interval(rate), dry_run=dry_run, force=force)


def replay_all(
    wanted: Wanted, interval: float | None = None, *, dry_run: bool = False, force: bool = False
) -> None:
    """Send all jobs again that are meant.

    Args:
        wanted: which.
        interval: seconds from one to the next.
        dry_run: only say what would be sent where.
        force: also what was no job.
    """
    outcome, limits = Outcome(), rules()

    async def work(desk: Desk) -> None:
        fit = []
        for head in await heads_of(desk, wanted):
            why = unfit(head, force=force)
            if why is None:
                fit.append(head)
            else:
                outcome.left.append((head, why))
        if dry_run:
            plan = [(head, again(letter, limits)) async for head, letter in desk.read(fit)]
            Console().print(plan_table(plan))
            outcome.done = len(plan)
            return
        pace = None if interval is None else AsyncLimiter(1, interval).acquire
        with progress("replaying", len(fit)) as told:
            await desk.replay(fit, lambda letter: again(letter, limits), outcome, pace, told)

    with summed_up(outcome, "would be replayed" if dry_run else "replayed"):
        at_desk(work)


def drop(
    job: Jobs = None,
    reason: Reasons = None,
    network: Networks = None,
    task: Tasks = None,
    channel: Channels = None,
    everything: Everything = False,
    limit: Limit = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Throw letters away, for good."""
    wanted = wanted_of(job, reason, network, task, channel, limit)
    refuse_all(wanted, everything)
    heads = at_desk(lambda desk: heads_of(desk, wanted))
    if heads and not yes:
        counted = Counter(head.reason for head in heads).most_common()
        many = ", ".join(f"{count} {why}" for why, count in counted)
        typer.confirm(f"Drop {len(heads)} for good ({many})?", abort=True)
    outcome = Outcome()

    async def work(desk: Desk) -> None:
        with progress("dropping", len(heads)) as told:
            await desk.drop(heads, outcome, told)

    with summed_up(outcome, "dropped"):
        at_desk(work)


def _interval(rate: str | None) -> float | None:
    try:
        return None if rate is None else interval_of(rate)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rate") from None
