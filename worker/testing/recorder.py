"""Keeps every reply that the workers publish, repeated ones too, for a test to look at."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aio_pika import Message, connect
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from anyio.from_thread import BlockingPortal, start_blocking_portal

from worker.client import Failed, Final, Reply
from worker.client.reading import read_reply
from worker.core.envelope import Envelope, Properties
from worker.core.topology import HUB

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection

PATIENCE = 30.0
"""Seconds."""


class ReplyRecorder:
    """Every reply on the hub since it began; made by :func:`recorded_replies`.

    Its methods wait in the calling thread; in asynchronous code call those that wait with
    ``asyncio.to_thread``. What goes to a ``reply_to`` alone is not on the hub.
    """

    def __init__(self, portal: BlockingPortal, channel: AbstractChannel) -> None:
        self._portal = portal
        self._channel = channel
        self._queue: AbstractQueue | None = None
        self._stirred = threading.Condition()
        self._replies: list[Reply] = []
        self._marks: set[str] = set()
        self._asserted: dict[str, Reply] = {}

    @property
    def replies(self) -> list[Reply]:
        """All of them, in the order in which they came."""
        with self._stirred:
            return list(self._replies)

    def of(self, job_id: str) -> list[Reply]:
        """Return what came about one job so far, in order."""
        return [reply for reply in self.replies if reply.job_id == job_id]

    def wait_for(
        self, enough: Callable[[list[Reply]], object], timeout: float = PATIENCE
    ) -> list[Reply]:
        """Wait until the replies so far are enough, and return them.

        Args:
            enough: is asked after each reply, with all there are.
            timeout: in seconds.

        Raises:
            AssertionError: they were not in time.
        """
        with self._stirred:
            if not self._stirred.wait_for(lambda: enough(self._replies), timeout):
                raise AssertionError(
                    f"not what was waited for within {timeout:g} s\n{_told(self._replies)}"
                )
            return list(self._replies)

    def assert_one_terminal_reply(self, job_id: str, timeout: float = PATIENCE) -> Final | Failed:
        """Wait for the end of a job, and return the reply that tells it.

        Every job has one, and but for a crash or a cut no more than that. It is looked for again
        when the recorder ends: a second one that comes until then fails the test, too.

        Args:
            job_id: the job.
            timeout: in seconds.

        Raises:
            AssertionError: none came in time, or more than one; tells what came.
        """
        try:
            self.wait_for(lambda _: self._ends(job_id), timeout)
        except AssertionError:
            raise AssertionError(
                f"job {job_id}: no terminal reply within {timeout:g} s\n{_told(self.of(job_id))}"
            ) from None
        self._catch_up()
        end = self._only_end(job_id)
        self._asserted[job_id] = end
        return end

    def check(self) -> None:
        """Look again at the jobs of :meth:`assert_one_terminal_reply`.

        Raises:
            AssertionError: one has had another terminal reply since.
        """
        if self._asserted:
            self._catch_up()
        for job_id in self._asserted:
            self._only_end(job_id)

    def _ends(self, job_id: str) -> list[Final | Failed]:
        return [
            reply
            for reply in self._replies
            if reply.job_id == job_id and isinstance(reply, Final | Failed)
        ]

    def _only_end(self, job_id: str) -> Final | Failed:
        with self._stirred:
            ends = self._ends(job_id)
        if len(ends) != 1:
            raise AssertionError(
                f"job {job_id}: {len(ends)} terminal replies\n{_told(self.of(job_id))}"
            )
        return ends[0]

    def _catch_up(self) -> None:
        """See all that the broker had for us before now: what is put behind it comes after it."""
        mark = uuid.uuid4().hex
        self._portal.call(self._put, mark)
        with self._stirred:
            if not self._stirred.wait_for(lambda: mark in self._marks, PATIENCE):
                raise AssertionError("the recorder has lost its broker: replies may be missing")

    async def _put(self, mark: str) -> None:
        assert self._queue is not None
        message = Message(b"", message_id=mark)
        await self._channel.default_exchange.publish(message, self._queue.name)

    async def _listen(self) -> None:
        # As the workers declare it, whoever comes first.
        hub = await self._channel.declare_exchange(HUB, "topic", durable=True)
        self._queue = await self._channel.declare_queue(
            f"sub.testing.{uuid.uuid4().hex}", exclusive=True
        )
        await self._queue.bind(hub, "#")
        await self._queue.consume(self._take, no_ack=True)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        headers = dict(message.headers)
        properties = Properties(headers, type=message.type, correlation_id=message.correlation_id)
        reply = read_reply(Envelope("", message.body, message.routing_key or "", properties))
        with self._stirred:
            if reply is not None:
                self._replies.append(reply)
            elif message.message_id:
                self._marks.add(message.message_id)
            self._stirred.notify_all()


@contextmanager
def recorded_replies(amqp_url: str) -> Iterator[ReplyRecorder]:
    """Record replies for the length of the block, and enter once that has begun.

    Args:
        amqp_url: the broker.

    Raises:
        AssertionError: at the end, see :meth:`ReplyRecorder.check`.
    """
    with start_blocking_portal("asyncio") as portal:
        connection: AbstractConnection = portal.call(connect, amqp_url)
        try:
            recorder = ReplyRecorder(portal, portal.call(connection.channel))
            portal.call(recorder._listen)  # noqa: SLF001 - its maker
            yield recorder
            recorder.check()
        finally:
            portal.call(connection.close)


def _told(replies: list[Reply]) -> str:
    lines = [
        f"  {type(one).__name__.lower()} of job {one.job_id}, attempt {one.attempt}, seq {one.seq}"
        for one in replies
    ]
    return "\n".join(["replies:", *lines] if lines else ["no replies at all"])
