"""Builds the consumers of a worker: one for each queue that it takes jobs from."""

from collections.abc import Callable

from worker.amqp.consumer import QueueConsumer
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.link import Link
from worker.core.place import Place
from worker.core.rendezvous import priority
from worker.core.topology import DEFAULT_NETWORK, DROPPED, partition_queue, unslotted
from worker.settings import WorkerSettings

Take = Callable[[AmqpDelivery], None]


def network_consumers(
    settings: WorkerSettings, link: Link, network: str, take: Take
) -> list[QueueConsumer]:
    """Return the consumers of a network's partitions, and, as the last, of its unslotted jobs.

    Only the partitions of ``WORKER_PARTITION_RANGE``; the unslotted are everybody's.
    """

    def consumer(queue: str, partition: int | None) -> QueueConsumer:
        return QueueConsumer(
            link,
            queue,
            network,
            settings.prefetch,
            take,
            priority=priority(settings.id, queue),
            place=Place(partition, settings.partitions),
        )

    partitions = [
        consumer(partition_queue(network, number), number) for number in settings.consumed
    ]
    return [*partitions, consumer(unslotted(network), None)]


def dropped_consumer(settings: WorkerSettings, link: Link, take: Take) -> QueueConsumer:
    """Return the consumer of what the broker gave up, of all networks."""
    return QueueConsumer(
        link,
        DROPPED,
        DEFAULT_NETWORK,
        settings.prefetch,
        take,
        priority=priority(settings.id, DROPPED),
        find_crashers=False,
    )
