"""The broker: can it be reached, may we do there what a worker does, and does it stand there?"""

import asyncio
from collections.abc import Sequence

from worker.amqp.comparing import Compared, compare
from worker.amqp.declare import TopologyMode
from worker.amqp.link import shown_url
from worker.amqp.reach import reached
from worker.amqp.rights import lacking, publishing_questions, questions
from worker.amqp.session import Session
from worker.amqp.standing import queues_of, standing
from worker.check.finding import PATIENCE, Finding, Tell, failed, fine, skipped, within
from worker.core.errors import LinkLost
from worker.core.repartition import NetworkStanding
from worker.core.topology import REPARTITION, Topology, jobs_exchange, topology
from worker.settings import Settings

BLOCKED_EVERY = 0.1
"""Seconds between two looks whether the broker has said that it is short of something."""
SHOWN = 6
"""Names in a line; more are counted."""
RIGHTS, PUBLISHING, COMMON = "rights at the broker", "publishing", "topology of all networks"


async def check_broker(settings: Settings, tell: Tell) -> None:
    """Take every step that concerns the broker."""
    what = f"broker {shown_url(settings.amqp_url)}"
    try:
        async with reached("check", settings.amqp_url, PATIENCE) as session:
            tell(fine(what, " ".join(session.server).strip() or "answers"))
            await _AtBroker(settings, session, tell).check()
    except LinkLost as error:
        tell(failed(what, f"{error} (AMQP_URL)"))
        tell(skipped(f"{RIGHTS}, topology", "the broker was not reached"))


class _AtBroker:
    """The steps that need a connection."""

    def __init__(self, settings: Settings, session: Session, tell: Tell) -> None:
        self._session = session
        self._tell = tell
        self._networks = list(settings.networks)
        self._partitions = settings.worker.partitions
        self._mode: TopologyMode = settings.worker.topology
        self._worker_id = settings.worker.id

    async def check(self) -> None:
        self._tell(await within(RIGHTS, self._rights()))
        self._tell(await within(COMMON, self._common()))
        for network in self._networks:
            what = f"jobs of network {network}"
            self._tell(await within(what, self._jobs(what, network)))
        # The last: a broker in an alarm hears nothing more from who has tried to publish.
        self._tell(await within(PUBLISHING, self._publishing()))

    async def _rights(self) -> Finding:
        asked = questions(self._networks, self._partitions, self._worker_id, self._mode)
        return _of_rights(RIGHTS, await lacking(self._session, asked))

    async def _publishing(self) -> Finding:
        asked = publishing_questions(self._networks, self._mode)
        asking = asyncio.create_task(lacking(self._session, asked))
        try:
            while not asking.done():
                if self._session.blocked:
                    return failed(
                        PUBLISHING,
                        "the broker takes nothing now, it is short of memory or disk:"
                        " rabbitmq-diagnostics alarms",
                    )
                await asyncio.wait({asking}, timeout=BLOCKED_EVERY)
            return _of_rights(PUBLISHING, asking.result())
        finally:
            asking.cancel()

    async def _common(self) -> Finding:
        objects = topology([], self._partitions)
        compared = await compare(self._session, objects)
        return _of_compared(COMMON, compared, self._mode, "all of it stands")

    async def _jobs(self, what: str, network: str) -> Finding:
        if await standing(self._session, [REPARTITION]):
            return failed(
                what,
                "the number of partitions is being changed: aui-worker partitions says to which,"
                " and finishes it",
            )
        found = await queues_of(self._session, network)
        if wrong := _number(found, self._partitions):
            return failed(what, f"{wrong} (WORKER_PARTITIONS; aui-worker partitions --to)")
        compared = await compare(self._session, _own(network, self._partitions))
        return _of_compared(what, compared, self._mode, _told(found))


def _own(network: str, partitions: int) -> Topology:
    """Return what stands for one network alone."""
    shared = {thing.name for thing in topology([], partitions).exchanges}
    objects = topology([network], partitions)
    prefix = jobs_exchange(network)
    return Topology(
        exchanges=[one for one in objects.exchanges if one.name not in shared],
        queues=[one for one in objects.queues if one.name.startswith(f"{prefix}.")],
        bindings=[],
    )


def _number(found: NetworkStanding, partitions: int) -> str | None:
    """Say what is wrong with the number of partitions, as far as a worker minds."""
    held = 1 + max(found.partitions, default=-1)
    more = held > partitions
    fewer = 0 in found.partitions and partitions - 1 not in found.partitions
    if not (more or fewer):
        return None
    return f"{partitions} partitions are set, but the broker holds {held}"


def _told(found: NetworkStanding) -> str:
    consumed = sum(queue.consumed for queue in found.queues)
    ready = sum(queue.ready for queue in found.queues)
    return f"{len(found.queues)} queues, {consumed} of them consumed, {ready} jobs waiting"


def _of_rights(what: str, lacks: Sequence[str]) -> Finding:
    if lacks:
        return failed(what, f"the user may not {_listed(lacks)} (rabbitmqctl set_permissions)")
    return fine(what, "all that a worker needs")


def _of_compared(what: str, compared: Compared, mode: TopologyMode, said: str) -> Finding:
    if compared.different:
        return failed(what, f"stands otherwise than WORKER_TOPOLOGY wants: {compared.different[0]}")
    if compared.missing and mode == "verify":
        return failed(
            what,
            f"not there: {_listed(compared.missing)}; WORKER_TOPOLOGY=verify makes nothing"
            " (aui-worker topology --definitions prints it)",
        )
    if compared.missing:
        rest = _listed(compared.missing) if compared.standing else "all of it"
        said = f"not there yet, made when a worker starts: {rest}"
    if compared.hidden:
        said += f"; {compared.hidden} not compared, for want of the right to configure them"
    return fine(what, said)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
