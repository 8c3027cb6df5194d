"""Which worker a queue prefers: partitions spread over the fleet without a coordinator.

Every worker consumes every queue, with a priority that is a hash of both names. RabbitMQ 4 gives a
queue to the consumer of the highest priority; a worker that comes or goes moves only the queues
that it gains or leaves (rendezvous hashing, Thaler and Ravishankar 1998).
"""

import re
from hashlib import blake2b

HIGHEST = 2**30 - 1
"""Fits the integers of every AMQP client and broker."""
FIRST_TO_HEED = 4
"""The RabbitMQ that first moves a queue with a single active consumer by priority."""


def priority(worker: str, queue: str) -> int:
    """Return the priority with which a worker consumes a queue."""
    digest = blake2b(f"{worker}|{queue}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) & HIGHEST


def heeds_priority(version: str) -> bool:
    """Tell whether a broker of that version moves queues to the worker they prefer."""
    major = re.match(r"\d+", version)
    return major is not None and int(major[0]) >= FIRST_TO_HEED
