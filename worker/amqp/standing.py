"""Looks at what stands on the broker: which queues, how full, and whether somebody consumes them.

A passive declare is all that AMQP has for it: jobs that a worker holds unacked do not show, but
then the queue shows as consumed. Of a queue with a single active consumer no more than that one is
counted.
"""

from collections.abc import Sequence

from worker.amqp.guard import NOT_FOUND, guarded
from worker.amqp.session import Session
from worker.core.errors import LinkLost
from worker.core.repartition import NetworkStanding, Standing
from worker.core.slots import SLOTS
from worker.core.topology import partition_queue, unslotted

EDGES = sorted({number for power in range(9) for number in (2**power - 1, 2**power)} - {SLOTS})
"""The first and last partition of every number there can be: each miss costs a channel, and the
broker a line in its log."""


async def queues_of(session: Session, network: str) -> NetworkStanding:
    """Look at the jobs queues of a network, whatever their number.

    Raises:
        LinkLost: the connection is gone.
    """
    numbers = {partition_queue(network, number): number for number in range(SLOTS)}
    edges = await standing(session, [partition_queue(network, number) for number in EDGES])
    count = 1 + max((numbers[queue.name] for queue in edges), default=-1)
    found = await standing(session, list(numbers)[:count])
    others = await standing(session, [unslotted(network)])
    partitions = {numbers[queue.name]: queue for queue in found}
    return NetworkStanding(network, partitions, next(iter(others), None))


async def standing(session: Session, names: Sequence[str]) -> list[Standing]:
    """Look at queues by name; those that do not stand are left out.

    Raises:
        LinkLost: the connection is gone.
    """
    found = []
    channel = await session.channel(confirms=False)
    for name in names:
        try:
            seen = await guarded(channel.raw.queue_declare(name, passive=True))
        except LinkLost as error:
            if error.code != NOT_FOUND:
                raise
            channel = await session.channel(confirms=False)
        else:
            found.append(Standing(name, seen.message_count or 0, bool(seen.consumer_count)))
    await channel.close()
    return found
