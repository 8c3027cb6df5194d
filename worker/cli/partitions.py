"""``aui-worker partitions``: how the jobs are spread over queues, and over how many."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.amqp.link import linked
from worker.amqp.repartition import Refused, Repartition, plan_kept
from worker.amqp.session import Session
from worker.amqp.standing import queues_of
from worker.core.errors import LinkLost
from worker.core.repartition import NetworkStanding, Plan
from worker.core.slots import SLOTS
from worker.settings import load_amqp_url, load_network_names, load_worker_settings

FAILED = 1


def partitions(
    to: Annotated[int | None, typer.Option(help="Change their number to this.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="A network; repeat for more. Default: those set.")
    ] = None,
) -> None:
    """Print the queues that jobs wait in, or change how many a network has.

    The number is changed only while no worker is connected and no job is queued.
    """
    if to is not None and not (1 <= to <= SLOTS and not to & (to - 1)):
        raise typer.BadParameter(f"a power of two, up to {SLOTS}", param_hint="--to")
    try:
        asyncio.run(_partitions(network or load_network_names(), to))
    except (Refused, LinkLost) as error:
        print(f"aui-worker: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None


async def _partitions(networks: Sequence[str], to: int | None) -> None:
    async with linked("partitions", load_amqp_url()) as link:
        session = await link.session()
        plan = None if to is None else await Repartition(session).run(networks, to)
        await _show(session, networks)
        if plan is not None:
            _tell(plan)


async def _show(session: Session, networks: Sequence[str]) -> None:
    table = Table("network", "queue", "ready", "consumed", box=box.SIMPLE)
    told = []
    for name in networks:
        found = await queues_of(session, name)
        for queue in found.queues:
            consumed = "yes" if queue.consumed else "no"
            table.add_row(name, queue.name, str(queue.ready), consumed)
        told.append(f"network {name}: {_number(found)}")
    if plan := await plan_kept(session):
        told.append(f"a change to {plan.to} is not finished: --to {plan.to} goes on with it")
    console = Console()
    console.print(table)
    console.print("\n".join(told), highlight=False)


def _number(found: NetworkStanding) -> str:
    number, configured = found.number, load_worker_settings().partitions
    if not found.partitions:
        return "nothing stands"
    if number is None:
        return f"{len(found.partitions)} partitions, which is no whole set"
    differs = "" if number == configured else f", but WORKER_PARTITIONS is {configured}"
    return f"{number} partitions{differs}"


def _tell(plan: Plan) -> None:
    changes = [f"network {name}: {number} -> {plan.to}" for name, number in plan.before.items()]
    print("; ".join(changes) if changes else "nothing to change")
    print(f"Set WORKER_PARTITIONS={plan.to} for every worker, then start them.")
