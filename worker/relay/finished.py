"""The jobs that have ended lately: the same job, come twice, is told and not asked again."""

from collections import OrderedDict
from dataclasses import dataclass

from worker.core.job import Address
from worker.core.reply import Reply, ReplyKind

MAX_JOBS = 10_000
MAX_BYTES = 64 * 1024 * 1024

Key = tuple[str, str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Ending:
    """The terminal reply of a job, and whether the broker has confirmed it."""

    reply: Reply
    confirmed: bool

    @property
    def answered(self) -> bool:
        """It is the agent's answer, not a failure."""
        return self.reply.kind is ReplyKind.FINAL

    def told(self, address: Address) -> bool:
        """Whoever is to be told has been, as far as the broker goes."""
        was = self.reply.address
        return self.confirmed and (was.reply_to, was.correlation_id, was.channel) == (
            address.reply_to,
            address.correlation_id,
            address.channel,
        )


class Finished:
    """Remembers endings, bounded in count and bytes, the oldest forgotten first."""

    def __init__(self, max_jobs: int = MAX_JOBS, max_bytes: int = MAX_BYTES) -> None:
        self._max_jobs = max_jobs
        self._max_bytes = max_bytes
        self._endings: OrderedDict[Key, Ending] = OrderedDict()
        self._bytes = 0

    def remember(self, reply: Reply, *, confirmed: bool) -> None:
        """Keep the terminal reply of a job."""
        key = _key(reply.address)
        self._forget(key)
        self._endings[key] = Ending(reply, confirmed)
        self._bytes += len(reply.body)
        while len(self._endings) > self._max_jobs or self._bytes > self._max_bytes:
            self._forget(next(iter(self._endings)))

    def of(self, address: Address) -> Ending | None:
        """Return how the job of that network, task and id ended, if that is still known."""
        return self._endings.get(_key(address))

    def _forget(self, key: Key) -> None:
        ending = self._endings.pop(key, None)
        if ending is not None:
            self._bytes -= len(ending.reply.body)


def _key(address: Address) -> Key:
    # A job by user has its task only from some point on; the same job is either.
    user = None if address.task_id is not None else address.user_id
    return address.network, address.task_id, user, address.job_id
