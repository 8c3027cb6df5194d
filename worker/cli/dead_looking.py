"""``aui-worker dead list`` and ``show``: what there is; looking changes nothing."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from worker.cli.dead_desk import (
    Channels,
    Networks,
    Reasons,
    Tasks,
    at_desk,
    heads_of,
    letters_of,
    wanted_of,
)
from worker.cli.dead_screen import groups_table, letters_table, lifetime
from worker.cli.dead_sheet import sheet
from worker.dead.lines import line_of
from worker.dead.overview import group_as_json, groups, head_as_json
from worker.dead.wanted import Wanted


def list_letters(
    reason: Reasons = None,
    network: Networks = None,
    task: Tasks = None,
    channel: Channels = None,
    letters: Annotated[bool, typer.Option("--letters", help="A line for each letter.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print what there is, by reason and network."""
    wanted = wanted_of(None, reason, network, task, channel)
    heads = at_desk(lambda desk: heads_of(desk, wanted))
    now, console = datetime.now(UTC), Console()
    if as_json:
        told = map(head_as_json, heads) if letters else map(group_as_json, groups(heads))
        print(json.dumps(list(told), indent=2))
        return
    if heads:
        console.print(letters_table(heads, now) if letters else groups_table(groups(heads), now))
    console.print(lifetime(heads, now), highlight=False)


def show(
    job: Annotated[
        list[str],
        typer.Argument(metavar="JOB", help="Job ids; ID#2 is the second letter of that id."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As export writes it.")] = False,
) -> None:
    """Print all that is known of a job, what was said, and what to do about it."""
    for head, letter in at_desk(lambda desk: letters_of(desk, Wanted(jobs=job))):
        if as_json:
            print(line_of(letter))
        else:
            Console().print(sheet(head, letter, datetime.now(UTC)))
