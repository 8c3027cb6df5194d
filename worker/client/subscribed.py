"""Replies taken off a durable queue, each acked after one's own side effect."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from worker.amqp.subscription import Handed, Subscription
from worker.client.connection import Connection
from worker.client.errors import ClientError, InvalidRequest, NotListening
from worker.client.newest import Newest
from worker.client.reading import read_reply
from worker.client.replies import Reply
from worker.core.body import shown
from worker.core.envelope import Envelope
from worker.core.errors import LinkLost
from worker.core.topology import LOOKING_LIMIT, QueueSpec

MAX_QUEUE = 255
MAX_PREFETCH = 65535
_QUEUE = {"x-queue-type": "quorum", "x-delivery-limit": LOOKING_LIMIT}
log = logging.getLogger(__name__)


class Subscribed:
    """Replies off a queue of one's own; made by :meth:`Client.subscribe`.

    Two crashes may bring a reply twice, or a worker may repeat a terminal one: what was acked
    before is left out, as far as this program remembers (10,000 jobs).
    """

    def __init__(
        self, connection: Connection, queue: str, keys: Sequence[str], prefetch: int
    ) -> None:
        if not 0 < prefetch <= MAX_PREFETCH:
            raise InvalidRequest("prefetch", f"must be from 1 to {MAX_PREFETCH}, not {prefetch}")
        self.queue = queue
        self._connection = connection
        self._keys = keys
        self._prefetch = prefetch
        self._acked = Newest()
        self._received: asyncio.Queue[tuple[Envelope, Handed] | None] = asyncio.Queue()
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Declare the queue, bind it, and begin to take.

        Raises:
            NotListening: the broker refuses the queue (it stands with other settings, or we may
                not have it) or a key.
        """
        if self._stack is not None:
            raise ClientError(f"{self.queue} is subscribed to already")
        spec = QueueSpec(self.queue, _QUEUE)
        subscription = Subscription(
            await self._connection.consuming(), spec, self._prefetch, self._receive
        )
        self._received = asyncio.Queue()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._connection.running(subscription, keep=True))
            try:
                for key in self._keys:
                    await subscription.bindings.add(key)
            except LinkLost as error:
                raise NotListening(f"{self.queue}: nothing to listen to: {error}") from None
            stack.callback(self._connection.closed.when(self._end))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack, self._stack = self._stack, None
        self._end()
        if stack is not None:
            await stack.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Reply:
        """Return the next reply that was not acked before."""
        if self._stack is None:
            raise ClientError("enter the subscription first: async with aui.subscribe(…) as …")
        while (received := await self._received.get()) is not None:
            envelope, handed = received
            if handed.gone:
                continue
            reply = read_reply(envelope)
            if reply is None:
                log.warning("%s: left out what is no reply: %s", self.queue, shown(envelope))
            elif self._acked.is_news(reply):
                return replace(reply, receipt=_Receipt(handed, reply, self._acked))
            await handed.ack()
        raise StopAsyncIteration

    def _end(self) -> None:
        self._received.put_nowait(None)

    async def _receive(self, envelope: Envelope, handed: Handed) -> None:
        self._received.put_nowait((envelope, handed))


class _Receipt:
    """Acks one reply, and remembers that."""

    def __init__(self, handed: Handed, reply: Reply, acked: Newest) -> None:
        self._handed = handed
        self._reply = reply
        self._acked = acked

    async def ack(self) -> None:
        self._acked.note(self._reply)
        await self._handed.ack()

    async def give_back(self, after: float) -> None:
        await self._handed.give_back(after)


def check_queue(name: object) -> str:
    """Return what may be the name of a queue.

    Raises:
        InvalidRequest: it may not.
    """
    size = len(name.encode("utf-8", "surrogatepass")) if isinstance(name, str) else 0
    if not isinstance(name, str) or not 0 < size <= MAX_QUEUE or name.startswith("amq."):
        raise InvalidRequest(
            "queue",
            f"must be a name, like sub.acme-sms, up to {MAX_QUEUE} bytes; not {shown(name)}",
        )
    return name
