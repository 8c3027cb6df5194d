"""``aui-worker topology``: what stands on the broker, and why."""

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from worker.core.topology import DEFAULT_NETWORK, Topology, definitions
from worker.core.topology import topology as objects_of
from worker.settings import load_worker_settings


def topology(
    network: Annotated[list[str] | None, typer.Option(help="A network; repeat for more.")] = None,
    as_definitions: Annotated[
        bool, typer.Option("--definitions", help="Print RabbitMQ's definitions.json.")
    ] = False,
    vhost: Annotated[str, typer.Option(help="The virtual host of the definitions.")] = "/",
) -> None:
    """Print every exchange and queue that the worker declares (WORKER_PARTITIONS counts)."""
    partitions = load_worker_settings().partitions
    objects = objects_of(network or [DEFAULT_NETWORK], partitions)
    if as_definitions:
        print(json.dumps(definitions(objects, vhost), indent=2))
    else:
        Console().print(_table(objects))


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
