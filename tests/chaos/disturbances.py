"""How each kind of fault is done, and undone."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aio_pika.exceptions import ChannelNotFoundEntity
from fault_proxy import FaultProxy
from observer import HUB, UNCLAIMED, Observer
from processes import PrivateBroker, Program
from records import Happened, now
from schedule import FaultKind, PlannedFault

CUT_PATIENCE = 10.0
"""Seconds to wait for so many bytes; a line that is that quiet is cut all the same."""
AWAY = 0.5
"""Seconds for which a killed sandbox stays away."""
ENOUGH_MEMORY = "0.6"
"""Of the machine's; what the private broker is started with."""
DELETE_QUEUES = (
    '[rabbit_amqqueue:delete(Q, false, false, <<"chaos">>) || Q <- rabbit_amqqueue:list(),'
    ' {resource, _, queue, <<"aui.lease.", _/binary>>} <- [amqqueue:get_name(Q)]],'
    " ok."
)
"""The lease queues are exclusive: only their owner, and the server itself, may delete them."""


@dataclass
class Parties:
    """Everybody who can be disturbed.

    Attributes:
        recent: the ids of the tasks that were written to last.
    """

    workers: Sequence[Program]
    sandbox: Program
    broker: PrivateBroker
    broker_link: FaultProxy
    aui_link: FaultProxy
    observer: Observer
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    locks: Mapping[str, asyncio.Lock] = field(
        default_factory=lambda: {
            name: asyncio.Lock() for name in ("worker", "broker", "AUI", "broker link", "AUI link")
        }
    )

    def busiest(self) -> Program:
        """Return the worker that has written to its log last: the one that works."""
        there = [worker for worker in self.workers if worker.pid is not None]
        return max(there or self.workers, key=lambda worker: worker.log.stat().st_mtime_ns)


async def disturb(parties: Parties, fault: PlannedFault) -> Happened:
    """Do a fault and undo it; one at a time to each party."""
    way = _WAYS[fault.kind]
    async with parties.locks[way.to]:
        began = now()
        hit = await way.does(parties, fault)
        return Happened(fault.number, fault.kind, began, now(), hit or "")


async def _kill_worker(parties: Parties, _: PlannedFault) -> str:
    worker = parties.busiest()
    await worker.end(signal.SIGKILL)
    await worker.start()
    await worker.until_ready()
    return worker.name


async def _roll_workers(parties: Parties, _: PlannedFault) -> None:
    for worker in parties.workers:
        await worker.end(signal.SIGTERM)
        await worker.start()
        await worker.until_ready()


async def _stop_worker(parties: Parties, fault: PlannedFault) -> str:
    worker = parties.busiest()
    worker.send(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    worker.send(signal.SIGCONT)
    return worker.name


async def _kill_sandbox(parties: Parties, _: PlannedFault) -> None:
    await parties.sandbox.end(signal.SIGKILL)
    await asyncio.sleep(AWAY)
    await parties.sandbox.start()
    await parties.sandbox.until_ready()


async def _stop_sandbox(parties: Parties, fault: PlannedFault) -> None:
    parties.sandbox.send(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    parties.sandbox.send(signal.SIGCONT)


async def _kill_broker(parties: Parties, _: PlannedFault) -> None:
    await parties.broker.kill()


async def _stop_broker(parties: Parties, fault: PlannedFault) -> None:
    parties.broker.send(signal.SIGSTOP)
    await asyncio.sleep(fault.seconds)
    parties.broker.send(signal.SIGCONT)


async def _alarm(parties: Parties, fault: PlannedFault) -> None:
    await parties.broker.ctl("set_vm_memory_high_watermark", "0.00001")
    await asyncio.sleep(fault.seconds)
    await parties.broker.ctl("set_vm_memory_high_watermark", ENOUGH_MEMORY)


async def _close_connections(parties: Parties, _: PlannedFault) -> None:
    await parties.broker.ctl("close_all_connections", "chaos")


async def _delete_hub(parties: Parties, _: PlannedFault) -> None:
    async with parties.observer.channel() as channel:
        await channel.exchange_delete(HUB)
    await parties.observer.bind_again()


async def _delete_task_exchanges(parties: Parties, fault: PlannedFault) -> str:
    tasks = list(dict.fromkeys(reversed(parties.recent)))[: fault.amount]
    async with parties.observer.channel() as channel:
        for task_id in tasks:
            await channel.exchange_delete(f"aui.task.{task_id}")
    return f"{len(tasks)} of them"


async def _delete_leases(parties: Parties, _: PlannedFault) -> None:
    await parties.broker.ctl("eval", DELETE_QUEUES)


async def _delete_unclaimed(parties: Parties, _: PlannedFault) -> str:
    """Delete it while it is empty: what is in it is a terminal reply."""
    async with parties.observer.channel() as channel:
        try:
            queue = await channel.declare_queue(UNCLAIMED, passive=True)
        except ChannelNotFoundEntity:
            return "nothing: nobody has needed it again"
        if queue.declaration_result.message_count:
            return "nothing: it is not empty"
        await channel.queue_delete(UNCLAIMED)
    return ""


def _while(do: Callable[[FaultProxy, PlannedFault], None], link: str) -> _Way:
    """Do something to a link, for as long as the fault lasts."""

    async def does(parties: Parties, fault: PlannedFault) -> None:
        proxy = _link(parties, link)
        do(proxy, fault)
        await asyncio.sleep(fault.seconds)
        proxy.heal()

    return _Way(link, does)


def _cut_after(link: str) -> _Way:
    async def does(parties: Parties, fault: PlannedFault) -> None:
        proxy = _link(parties, link)
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_PATIENCE):
                await proxy.cut_after(fault.amount)
                return
        proxy.cut()

    return _Way(link, does)


def _link(parties: Parties, link: str) -> FaultProxy:
    return parties.broker_link if link == "broker link" else parties.aui_link


@dataclass(frozen=True)
class _Way:
    """To whom a kind of fault is done, and how; it returns whom it hit, if that needs telling."""

    to: str
    does: Callable[[Parties, PlannedFault], Awaitable[str | None]]


_WAYS: Mapping[FaultKind, _Way] = {
    FaultKind.WORKER_KILL: _Way("worker", _kill_worker),
    FaultKind.WORKER_KILL_AGAIN: _Way("worker", _kill_worker),
    FaultKind.WORKERS_TERM: _Way("worker", _roll_workers),
    FaultKind.WORKER_STOP: _Way("worker", _stop_worker),
    FaultKind.SANDBOX_KILL: _Way("AUI", _kill_sandbox),
    FaultKind.SANDBOX_STOP: _Way("AUI", _stop_sandbox),
    FaultKind.BROKER_KILL: _Way("broker", _kill_broker),
    FaultKind.BROKER_STOP: _Way("broker", _stop_broker),
    FaultKind.MEMORY_ALARM: _Way("broker", _alarm),
    FaultKind.CONNECTIONS_CLOSED: _Way("broker", _close_connections),
    FaultKind.HUB_DELETED: _Way("broker", _delete_hub),
    FaultKind.TASK_EXCHANGES_DELETED: _Way("broker", _delete_task_exchanges),
    FaultKind.LEASES_DELETED: _Way("broker", _delete_leases),
    FaultKind.UNCLAIMED_DELETED: _Way("broker", _delete_unclaimed),
    FaultKind.BROKER_LINK_RESET: _while(lambda link, _: link.cut(), "broker link"),
    FaultKind.AUI_LINK_RESET: _while(lambda link, _: link.cut(), "AUI link"),
    FaultKind.BROKER_LINK_BLACKHOLE: _while(lambda link, _: link.blackhole(), "broker link"),
    FaultKind.AUI_LINK_BLACKHOLE: _while(lambda link, _: link.blackhole(), "AUI link"),
    FaultKind.BROKER_LINK_FREEZE: _while(lambda link, _: link.freeze(), "broker link"),
    FaultKind.AUI_LINK_FREEZE: _while(lambda link, _: link.freeze(), "AUI link"),
    FaultKind.BROKER_LINK_LATENCY: _while(lambda link, _: link.latency(0.1), "broker link"),
    FaultKind.AUI_LINK_LATENCY: _while(lambda link, _: link.latency(0.1), "AUI link"),
    FaultKind.BROKER_LINK_CUT_AFTER: _cut_after("broker link"),
    FaultKind.AUI_LINK_CUT_AFTER: _cut_after("AUI link"),
}
