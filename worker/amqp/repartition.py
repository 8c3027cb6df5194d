"""Changes the number of partitions, so that no job is lost or run twice, killed at any moment.

    begin    no worker is connected and no job is queued: the plan is put on the broker, and from
             then on no worker starts
    unbind   the old bindings; what producers publish now goes to the unslotted
    decide   everything stood empty after that: otherwise the old bindings come back
    finish   new queues and bindings are made, queues that are left over are deleted, and in the
             end the plan; whoever runs it again after a crash goes on from here

A slot is never bound to two queues. Producers may go on publishing; the workers move the unslotted
on when they start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from aio_pika import DeliveryMode, Message
from aio_pika.exceptions import DeliveryError

from worker.amqp.declare import set_up
from worker.amqp.guard import LOCKED, guarded
from worker.amqp.session import Session
from worker.amqp.standing import queues_of, standing
from worker.core.errors import LinkLost
from worker.core.repartition import (
    NetworkStanding,
    Plan,
    Standing,
    connected,
    misplaced,
    occupied,
    plan_of,
    read,
    written,
)
from worker.core.topology import (
    DROPPED,
    LOOKING_LIMIT,
    REPARTITION,
    BindingSpec,
    partition_queue,
    slot_bindings,
)

SETTLE = 1.0
"""Seconds within which a job that was routed before its slot was unbound is in its queue."""


class Refused(Exception):
    """The number cannot be changed now; the text says why."""


async def plan_kept(session: Session) -> Plan | None:
    """Return the change that was begun and is not finished, if there is one.

    Raises:
        LinkLost: the connection is gone.
    """
    if not await standing(session, [REPARTITION]):
        return None
    channel = await session.channel(confirms=False)
    queue = await guarded(channel.pika.declare_queue(REPARTITION, passive=True))
    plan = None
    while (message := await guarded(queue.get(fail=False))) is not None:
        plan = read(message.body)
    await channel.close()
    return plan


class Repartition:
    """Changes the number of partitions over one session.

    Args:
        session: a connection that may configure.
        sleep: waits so many seconds.
    """

    def __init__(
        self, session: Session, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._session = session
        self._sleep = sleep

    async def run(self, networks: Sequence[str], to: int) -> Plan:
        """Change it, or finish what was begun, of the networks it was begun for.

        Returns:
            what was changed.

        Raises:
            Refused: not now.
            ConfigurationError: the broker refuses the new queues.
            LinkLost: the connection is gone; run it again.
        """
        await self._lock()
        plan = await plan_kept(self._session)
        if plan is None:
            await self._delete([REPARTITION])  # empty, if a beginning was cut short
            plan = await self._begin(networks, to)
        if plan.to != to:
            raise Refused(f"a change to {plan.to} partitions was begun: finish it with --to")
        if plan.before:
            if not plan.decided:
                plan = await self._decide(plan)
            await self._finish(plan)
        return plan

    async def _lock(self) -> None:
        """Keep others from doing the same at the same time, as long as the connection lives."""
        channel = await self._session.channel(confirms=False)
        try:
            await guarded(channel.raw.queue_declare(f"{REPARTITION}.lock", exclusive=True))
        except LinkLost as error:
            if error.code == LOCKED:
                raise Refused("somebody else is changing it right now") from None
            raise
        await channel.close()

    async def _begin(self, networks: Sequence[str], to: int) -> Plan:
        found = await self._look(networks)
        try:
            plan = plan_of(found, to)
        except ValueError as error:
            raise Refused(str(error)) from None
        if plan.before:
            changed = (one for one in found if one.network in plan.before)
            queues = [queue for one in changed for queue in one.queues]
            if why := await self._connected(queues) or occupied(queues):
                raise Refused(why)
            await self._keep(plan)
        return plan

    async def _decide(self, plan: Plan) -> Plan:
        """Unbind what is bound; bind it again if anything was in the way after all."""
        old = [
            bound
            for network, before in plan.before.items()
            for bound in slot_bindings(network, before)
        ]
        await self._unbind(old)
        await self._sleep(SETTLE)
        found = await self._look(list(plan.before))
        partitions = [queue for one in found for queue in one.partitions.values()]
        if why := await self._connected(partitions) or occupied(partitions):
            await self._bind(old)
            await self._delete([REPARTITION])
            raise Refused(why)
        decided = replace(plan, decided=True)
        await self._keep(decided)
        return decided

    async def _finish(self, plan: Plan) -> None:
        for network, before in plan.before.items():
            await self._unbind(misplaced(network, before, plan.to))
            await set_up(self._session, [network], plan.to, "declare")
            surplus = [partition_queue(network, n) for n in range(plan.to, before)]
            left = await standing(self._session, surplus)
            if why := connected(left) or occupied(left):
                raise Refused(f"{why}; then run this again")
            await self._delete([queue.name for queue in left])
        await self._delete([REPARTITION])

    async def _look(self, networks: Sequence[str]) -> list[NetworkStanding]:
        return [await queues_of(self._session, network) for network in networks]

    async def _connected(self, queues: Sequence[Standing]) -> str | None:
        """Say which queues a worker has; one whose network is browned out has only the dropped."""
        return connected([*queues, *await standing(self._session, [DROPPED])])

    async def _keep(self, plan: Plan) -> None:
        """Put the plan where any worker and any later run finds it; of several the last counts."""
        channel = await self._session.channel(confirms=True)
        await guarded(
            channel.raw.queue_declare(
                REPARTITION,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-delivery-limit": LOOKING_LIMIT},
            )
        )
        message = Message(written(plan), delivery_mode=DeliveryMode.PERSISTENT)
        try:
            await guarded(channel.pika.default_exchange.publish(message, REPARTITION))
        except DeliveryError as error:
            raise LinkLost(f"{REPARTITION} did not take the plan: {error}") from None
        await channel.close()

    async def _unbind(self, bindings: Iterable[BindingSpec]) -> None:
        channel = await self._session.channel(confirms=False)
        for bound in bindings:
            await guarded(channel.raw.queue_unbind(bound.queue, bound.exchange, bound.key))
        await channel.close()

    async def _bind(self, bindings: Iterable[BindingSpec]) -> None:
        channel = await self._session.channel(confirms=False)
        for bound in bindings:
            await guarded(channel.raw.queue_bind(bound.queue, bound.exchange, bound.key))
        await channel.close()

    async def _delete(self, queues: Sequence[str]) -> None:
        """Delete queues; a quorum queue knows no if-empty, so they have been looked at before."""
        channel = await self._session.channel(confirms=False)
        for queue in queues:
            await guarded(channel.raw.queue_delete(queue))
        await channel.close()
