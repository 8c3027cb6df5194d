"""Counts how often a job was handed out and not settled, without what this worker has survived.

The broker counts every hand-over that ends without an ack: the death of a worker, but also a link
that was lost while the job waited for its turn. A worker that still lives was not ended by it.
"""

from cachetools import LRUCache

from worker.core.envelope import Envelope

TIMES = 16
"""Messages are remembered for so many times what is handed out at once,"""
ENOUGH = 4096
"""but no more of them than this, unless as many are handed out at once."""


class Survivals:
    """What has been handed over by one queue, in this life of the worker.

    Args:
        prefetch: how many messages are handed out at once.
    """

    def __init__(self, prefetch: int) -> None:
        self._survived: LRUCache[int, int] = LRUCache(max(prefetch, min(TIMES * prefetch, ENOUGH)))

    def suspicion(self, envelope: Envelope) -> int:
        """Take note of one more hand-over; return how many before it speak against the job.

        The broker says itself that it hands it out again: a count alone may be a producer's header.
        """
        key = hash((envelope.properties.message_id, envelope.body))
        survived = self._survived.get(key, 0)
        self._survived[key] = survived + 1
        return max(0, envelope.delivery_count - survived) if envelope.redelivered else 0
