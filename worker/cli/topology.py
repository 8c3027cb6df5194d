"""``aui-worker topology``: what stands on the broker, who may use it, and why."""

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from worker.cli.passwords import hashes_of
from worker.core.definitions import differences, everything
from worker.core.errors import ConfigurationError
from worker.core.manifests import manifests
from worker.core.permissions import Bot, User
from worker.core.permissions import users as users_of
from worker.core.topology import DEFAULT_NETWORK, Topology, definitions
from worker.core.topology import topology as objects_of
from worker.settings import load_worker_settings

FAILED = 1
SHOWN = 10
"""Differences that are told; more are counted."""


def topology(
    network: Annotated[list[str] | None, typer.Option(help="A network; repeat for more.")] = None,
    as_definitions: Annotated[
        bool, typer.Option("--definitions", help="Print RabbitMQ's definitions.json.")
    ] = False,
    as_manifests: Annotated[
        bool,
        typer.Option("--manifests", help="Print manifests for RabbitMQ's topology operator."),
    ] = False,
    users: Annotated[bool, typer.Option("--users", help="With users, rights, policies.")] = False,
    bot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NETWORK[.CHANNEL]", help="With a user for a bot; repeat for more."
        ),
    ] = None,
    passwords: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="With passwords: a file of each user's, called as the user. Who has none in there"
            " cannot log in.",
        ),
    ] = None,
    vhost: Annotated[str, typer.Option(help="The virtual host of the definitions.")] = "/",
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare a definitions file with what it should be."),
    ] = None,
) -> None:
    """Print everything that stands on the broker (WORKER_PARTITIONS counts), and who may use it.

    Exit code: 0, or 1 if the file of --check differs (but for the hashes of passwords).
    """
    networks = network or [DEFAULT_NETWORK]
    objects = objects_of(networks, load_worker_settings().partitions)
    people = users_of(networks, _bots(bot or []))
    if as_manifests:
        print(manifests(objects, people, vhost), end="")
        return
    file = _definitions(objects, people if users or bot or passwords else [], vhost, passwords)
    if check is not None:
        _compare(file, check)
    elif as_definitions:
        print(json.dumps(file, indent=2))
    else:
        Console().print(_users_table(people) if users else _table(objects))


def _definitions(
    objects: Topology, people: Sequence[User], vhost: str, passwords: Path | None
) -> dict[str, Any]:
    if not people:
        return definitions(objects, vhost)
    hashes = hashes_of(passwords, [user.name for user in people]) if passwords else {}
    return everything(objects, people, vhost, hashes)


def _bots(written: Sequence[str]) -> list[Bot]:
    try:
        return [Bot.read(text) for text in written]
    except ValueError as error:
        raise ConfigurationError(f"--bot: {error}") from None


def _compare(wanted: Mapping[str, Any], file: Path) -> None:
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        raise ConfigurationError(f"--check: {file} is no JSON") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"--check: {file} holds no definitions")
    told = differences(wanted, found)
    for line in told[:SHOWN]:
        print(f"{file}: {line}", file=sys.stderr)
    if more := len(told) - SHOWN:
        print(f"{file}: and {more} more differences" if more > 0 else "", end="", file=sys.stderr)
    if told:
        raise typer.Exit(FAILED)


def _users_table(people: Sequence[User]) -> Table:
    table = Table("user", "for", show_lines=True)
    for right in ("configure", "write", "read"):
        table.add_column(right, overflow="fold")
    for user in people:
        read = "\n".join([user.read, *(f"keys of {t.exchange}: {t.read}" for t in user.topics)])
        table.add_row(user.name, user.purpose, user.configure, user.write, read)
    return table


def _table(objects: Topology) -> Table:
    table = Table("object", "name", "kind")
    table.add_column("arguments", overflow="fold")
    for exchange in objects.exchanges:
        table.add_row("exchange", exchange.name, exchange.type, _told(exchange.arguments))
    for arguments, run in groupby(objects.queues, key=lambda queue: queue.arguments):
        names = [queue.name for queue in run]
        kind = f"{arguments['x-queue-type']}, {len(names)} of them" if names[1:] else "quorum"
        table.add_row("queue", _span(names), kind, _told(arguments))
    table.add_row("exchange", "aui.task.<task id>", "topic, auto-delete", "made per task")
    table.add_row("queue", "aui.lease.<worker>.<n>", "exclusive", "each keeps 64 task exchanges")
    table.caption = f"{len(objects.bindings)} bindings; slot s lies in partition s*P//256"
    return table


def _span(names: list[str]) -> str:
    """Name a run of queues by its first and last; the partitions, then the un-slotted one."""
    if len(names) < 3:
        return "\n".join(names)
    *partitions, strays = names
    return f"{partitions[0]} … {partitions[-1]}\n{strays}"


def _told(arguments: Mapping[str, object]) -> str:
    told = {name.removeprefix("x-"): value for name, value in arguments.items()}
    told.pop("queue-type", None)
    return "\n".join(f"{name}={value}" for name, value in told.items())
