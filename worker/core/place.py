"""Where a job lies, and whether it may be worked off there."""

from dataclasses import dataclass

from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.slots import is_slot, partition_of


@dataclass(frozen=True, slots=True)
class Place:
    """One of a network's jobs queues.

    Attributes:
        partition: its number; None for the queue of the unslotted.
        partitions: how many there are.
    """

    partition: int | None
    partitions: int

    def holds(self, envelope: Envelope) -> bool:
        """Tell whether a job from this queue lies where its routing key puts it.

        One whose slot was bound to another queue, or to none, while the number of partitions was
        changed does not: the worker that has its partition may be busy with its task. It is moved
        on, but once only: what comes back lies where the broker puts that slot.
        """
        if not is_slot(envelope.routing_key) or h.ATTEMPT_BASE in envelope.properties.headers:
            return True
        return self.partition == partition_of(envelope.routing_key, self.partitions)
