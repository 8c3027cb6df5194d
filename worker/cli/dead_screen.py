"""Letters for a person at a terminal: tables, and how far a long run has come."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from worker.cli.screen import plain
from worker.core.topology import DEAD_TTL_MS
from worker.dead.again import Again
from worker.dead.head import Head
from worker.dead.overview import Group

LONG = 50
"""Letters from which on a bar shows how far a run has come."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def groups_table(groups: Sequence[Group], now: datetime) -> Table:
    """Return a row for each reason and network."""
    table = Table("reason", "network", box=box.SIMPLE)
    table.add_column("letters", justify="right")
    for name in ("oldest", "newest", "the newest of them"):
        table.add_column(name)
    for group in groups:
        sample = group.sample
        table.add_row(
            line(group.reason),
            line(group.network or "?"),
            str(group.count),
            ago(group.oldest, now),
            ago(group.newest, now),
            Text.assemble(
                line(sample.name), (f" task {whose(sample)}  ", "dim"), line(sample.error)
            ),
        )
    return table


def letters_table(heads: Sequence[Head], now: datetime) -> Table:
    """Return a row for each letter."""
    table = Table("died", "job", "reason", "network", "task", "error", box=box.SIMPLE)
    for head in heads:
        table.add_row(
            ago(head.died_at, now),
            line(head.name),
            line(head.reason),
            line(head.network or "?"),
            line(whose(head)),
            line(head.error),
        )
    return table


def plan_table(plan: Sequence[tuple[Head, Again]]) -> Table:
    """Return a row for each job that would be sent again, and where to."""
    table = Table("job", "reason", "task", "exchange", "slot", "attempts from", box=box.SIMPLE)
    for head, job in plan:
        base = int(job.properties.headers["aui-attempt-base"])
        table.add_row(
            line(head.name),
            line(head.reason),
            line(whose(head)),
            line(job.exchange),
            job.slot,
            str(base + 1),
        )
    return table


def lifetime(heads: Sequence[Head], now: datetime) -> str:
    """Say how many letters there are, and when the first of them goes."""
    oldest = min((head.died_at for head in heads if head.died_at is not None), default=None)
    if not heads:
        return "no letters"
    told = f"{len(heads)} letter{'s' if len(heads) > 1 else ''}"
    if oldest is None:
        return told
    return f"{told}; the oldest is deleted in {span(oldest + lasts() - now)}"


def lasts() -> timedelta:
    """Return how long the broker keeps a letter."""
    return timedelta(milliseconds=DEAD_TTL_MS)


@contextmanager
def progress(what: str, count: int) -> Iterator[Callable[[], None]]:
    """Show a bar while many letters are acted on, at a terminal; yield what moves it on."""
    console = Console(stderr=True)
    if count < LONG or not console.is_terminal:
        yield lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        run = bar.add_task(what, total=count)
        yield lambda: bar.advance(run)


def line(text: str) -> Text:
    """Return a text as one line that cannot drive the terminal."""
    return Text(" ".join(plain(text).split()))


def whose(head: Head) -> str:
    """Return the task of a letter, or its user where it has none."""
    return head.task_id or (f"of user {head.user_id}" if head.user_id else "-")


def ago(at: datetime | None, now: datetime) -> str:
    """Say how long ago something was."""
    return "?" if at is None else f"{span(now - at)} ago"


def span(time: timedelta) -> str:
    """Say a time in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def moment(at: datetime | None) -> str:
    """Say when something was, in UTC."""
    return "?" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
