"""Trace ids made of job ids, so that a job handed out again goes on with its trace.

Where a producer began no trace, there is nothing in the message to go on with: but another worker
derives the same id from the same job.
"""

import hashlib

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import INVALID_TRACE_ID


class DerivedIds(RandomIdGenerator):
    """Makes random ids, but for the next trace after :meth:`derive`.

    Not for several threads: jobs begin in the event loop.
    """

    def __init__(self) -> None:
        self._next = INVALID_TRACE_ID

    def derive(self, network: str, whose: str, job_id: str) -> None:
        """Have the next trace, should one begin, called after a job.

        Args:
            network: the job's network.
            whose: its user or its task.
            job_id: its id, given by its producer.
        """
        name = "\0".join((network, whose, job_id)).encode("utf-8", "surrogatepass")
        self._next = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "big")

    def generate_trace_id(self) -> int:
        """Return the id of a new trace."""
        made, self._next = self._next, INVALID_TRACE_ID
        return made or super().generate_trace_id()
