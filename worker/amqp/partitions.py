"""Closes and opens the queues of one network, together or one after another."""

from collections.abc import Sequence
from itertools import cycle

from worker.amqp.consumer import QueueConsumer


class NetworkPartitions:
    """Implements :class:`worker.relay.ports.Partitions` over the consumers of one network.

    Args:
        partitions: its partitions.
        others: its further queues, of which none is opened alone: jobs that are only moved on
            say nothing about the network.
    """

    def __init__(
        self, partitions: Sequence[QueueConsumer], others: Sequence[QueueConsumer] = ()
    ) -> None:
        self._all = [*partitions, *others]
        self._next = cycle(partitions)

    def close(self) -> None:
        """Drain and close every queue."""
        for consumer in self._all:
            consumer.close()

    def open_one(self) -> None:
        """Consume one partition, another one each time, in full; the others stay as they are."""
        next(self._next).open()

    def open(self) -> None:
        """Consume all of them, in full."""
        for consumer in self._all:
            consumer.open()
