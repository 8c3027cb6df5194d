"""Everything a client hears comes over one queue, and is shared out here by task and by job."""

import logging
import re
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from worker.amqp.link import Link
from worker.amqp.subscription import Handed, Subscription
from worker.client.inbox import Inbox
from worker.client.reading import read_reply
from worker.client.replies import Reply
from worker.client.requests import Request
from worker.client.topics import matches
from worker.core.envelope import Envelope
from worker.core.topology import QueueSpec

PREFETCH = 512
EXPIRES_MS = 5 * 60 * 1000
"""How long a queue waits for its client to come back; what comes meanwhile is kept in it."""
_ONE_TASK = re.compile(r"[^.*#]+\.\*\.[^.*#]+\.\*")
log = logging.getLogger(__name__)


def reply_queue() -> QueueSpec:
    """Return a queue for a client's replies: it outlives a lost connection, for five minutes."""
    return QueueSpec(f"sub.aui-client.{uuid.uuid4().hex}", {"x-expires": EXPIRES_MS})


class Hearing:
    """Shares out replies among those who listen.

    Args:
        link: the connection.
        queue: the client's own.
    """

    def __init__(self, link: Link, queue: QueueSpec) -> None:
        self.subscription = Subscription(link, queue, PREFETCH, self._receive)
        self._by_key: defaultdict[str, list[Inbox]] = defaultdict(list)
        self._by_job: defaultdict[str, list[tuple[Inbox, Request]]] = defaultdict(list)
        self._patterns: set[str] = set()

    async def listen(self, inbox: Inbox, keys: Sequence[str]) -> None:
        """Have everything that matches one of the keys put into an inbox.

        Raises:
            LinkLost: the broker refuses a key.
        """
        bound: list[str] = []
        try:
            for key in keys:
                await self.subscription.bindings.add(key)
                bound.append(key)
                self._by_key[key].append(inbox)
                if _ONE_TASK.fullmatch(key) is None:
                    self._patterns.add(key)
        except BaseException:
            self.leave(inbox, bound)
            raise

    def leave(self, inbox: Inbox, keys: Sequence[str]) -> None:
        """Take that back."""
        for key in keys:
            self._by_key[key].remove(inbox)
            if not self._by_key[key]:
                del self._by_key[key]
                self._patterns.discard(key)
            self.subscription.bindings.drop(key)

    @asynccontextmanager
    async def expecting(self, request: Request, key: str | None) -> AsyncIterator[Inbox]:
        """Lend an inbox for the replies about one job that is about to be sent.

        Args:
            request: the job.
            key: what to listen to on the hub; None where the job has a ``reply_to``.

        Raises:
            LinkLost: the broker refuses the key.
        """
        inbox, bindings = Inbox(), self.subscription.bindings
        if key is not None:
            await bindings.add(key)
        self._by_job[request.job_id].append((inbox, request))
        try:
            yield inbox
        finally:
            self._by_job[request.job_id].remove((inbox, request))
            if not self._by_job[request.job_id]:
                del self._by_job[request.job_id]
            if key is not None:
                bindings.drop(key)

    def close(self) -> None:
        """Tell all readers that nothing more comes."""
        for inbox in [*self._listeners(), *self._waiters()]:
            inbox.close()

    async def _receive(self, envelope: Envelope, handed: Handed) -> None:
        reply = read_reply(envelope)
        if reply is None:
            log.warning("no reply: a message of type %r", envelope.properties.type)
        else:
            self._share_out(reply, envelope)
        await handed.ack()

    def _share_out(self, reply: Reply, envelope: Envelope) -> None:
        for inbox, request in self._by_job.get(reply.job_id, ()):
            if _answers(reply, request):
                inbox.put(replace(reply, network=request.network, channel=request.channel))
        if not reply.network:
            return
        words = envelope.routing_key.split(".")
        for inbox in self._by_key.get(f"{words[0]}.*.{words[2]}.*", ()):
            inbox.put(reply)
        for pattern in self._patterns:
            if matches(pattern, words):
                for inbox in self._by_key[pattern]:
                    inbox.put(reply)

    def _listeners(self) -> Iterator[Inbox]:
        for inboxes in self._by_key.values():
            yield from inboxes

    def _waiters(self) -> Iterator[Inbox]:
        for expected in self._by_job.values():
            for inbox, _ in expected:
                yield inbox


def _answers(reply: Reply, request: Request) -> bool:
    """Tell whether a reply is about that job: its id may be used for other tasks as well."""
    if reply.network not in ("", request.network):
        return False
    return request.task_id is None or reply.task_id in ("", request.task_id)
