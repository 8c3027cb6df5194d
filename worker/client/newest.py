"""The rule that drops what is late, repeated or superseded."""

from collections import OrderedDict
from math import inf

from worker.client.replies import Failed, Reply

REMEMBERED = 10_000
_FAILED, _ANSWERED = (inf, 0), (inf, inf)


class Newest:
    """Tells what is news about each job: keep the highest (attempt, seq), and the first end.

    Of two ends the first counts, but an answer takes the place of a failure: a job that was
    replayed from ``aui.dead`` ends once more.

    The jobs heard of last are remembered, 10,000 of them.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def is_news(self, reply: Reply) -> bool:
        """Tell whether a reply is newer than all before it."""
        return _place(reply) > self._seen.get(_job(reply), (0, 0))

    def note(self, reply: Reply) -> bool:
        """Remember a reply; tell whether it was newer than all before it."""
        if not self.is_news(reply):
            return False
        job = _job(reply)
        self._seen[job] = _place(reply)
        self._seen.move_to_end(job)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


def _job(reply: Reply) -> tuple[str, str, str]:
    return reply.network, reply.task_id, reply.job_id


def _place(reply: Reply) -> tuple[float, float]:
    if not reply.terminal:
        return reply.place
    return _FAILED if isinstance(reply, Failed) else _ANSWERED
