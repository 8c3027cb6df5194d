"""Holds all dead letters for a moment, and gives them back as they were.

AMQP has no way to look into a queue: whoever wants to see a letter has to take it. What a quorum
queue makes of that was measured on RabbitMQ 3.10 and 4.0:

* A letter that is handed out and not acked goes back when the channel closes, or the process that
  held it is killed, within milliseconds. Its time to live goes on counting, and ends while it is
  held. Its delivery count goes up by one; the queue's limit is a million.
* Letters that come back form a line of their own in front of the others, and *join its end*. Taking
  some of them and giving them back therefore shuffles the queue, and so does taking them one by one
  (``basic.get``; RabbitMQ's management page does that). Taking **all** of them in one go does not.
* A consumer gets as many letters at once as its prefetch allows, in one step of the queue, also if
  its process is killed a moment later. A prefetch of 0 counts as 2,000, the most is 65,535. Where
  there are more letters further consumers of the same channel take the rest; then, and only if
  killed in that moment, the two parts may come back in the other order, which is why the order of
  letters is read from the letters themselves (:func:`worker.dead.head.in_order`).
* While one holds them all, another one sees none, and of two that begin in the same moment each may
  get a part. The broker knows no exclusive consumers of quorum queues. So whoever looks declares an
  exclusive queue beside it, ``aui.dead.lock``, gone with its connection; a second one is told.
  Who may not declare it looks without: it is told of the others by the number of consumers, only
  that two in the same millisecond may shuffle the queue.
* 10,000 letters take a second, 100,000 ten; giving them back a quarter of one.

So a look holds everything, for seconds, over one channel, and changes neither queue type nor
arguments of what stands on brokers already.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

from aiormq.abc import DeliveredMessage

from worker.amqp.guard import ACCESS_REFUSED, LOCKED, NOT_FOUND, guarded
from worker.amqp.messages import envelope_of
from worker.amqp.session import Channel, Session
from worker.core.envelope import Envelope
from worker.core.errors import LinkLost
from worker.core.topology import DEAD

PREFETCH = 65_535
"""The most that basic.qos can say: a 16-bit number."""
QUIET = 1.0
"""Seconds without another letter, and none in the queue: fewer came than were told."""
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 2.0)
"""How long to wait for somebody else to give the letters back: nine seconds in all."""

T = TypeVar("T")
R = TypeVar("R")
Keep = Callable[[int, Envelope], T | None]
Sleep = Callable[[float], Awaitable[None]]


class LettersBusy(Exception):
    """Somebody else holds the letters."""


class NoLetters(Exception):
    """There is no queue of letters on this broker."""


class Holding(Generic[T]):
    """All letters, held over one channel.

    Attributes:
        kept: what was made of them, in the queue's order; also of those written meanwhile.
    """

    def __init__(self, channel: Channel, queue: str, keep: Keep[T]) -> None:
        self.kept: list[T] = []
        self._channel = channel
        self._queue = queue
        self._lock_name = f"{queue}.lock"
        self._lock: Channel | None = None
        self._keep = keep
        self._count = 0
        self._expected = 0
        self._consumers = 0
        self._enough = asyncio.Event()
        self._failure: Exception | None = None

    async def remove(self, tag: int) -> None:
        """Take a letter out of the queue for good; all others go back.

        Raises:
            LinkLost: the channel is gone, and all that was not removed is back.
        """
        await self._done(self._channel.raw.basic_ack(tag))

    async def release(self) -> None:
        """Give back what was not removed."""
        await self._channel.close()
        if self._lock is not None:
            with suppress(LinkLost):
                await self._lock.lost.ends(guarded(self._lock.raw.queue_delete(self._lock_name)))
            await self._lock.close()

    async def lock(self, session: Session) -> None:
        """Keep others from looking at the same time, if that right is granted.

        Raises:
            LettersBusy: another one does.
            LinkLost: the connection is gone.
        """
        channel = await session.channel(confirms=False)
        try:
            declared = channel.raw.queue_declare(self._lock_name, exclusive=True)
            await channel.lost.ends(guarded(declared))
        except LinkLost as error:
            if error.code == LOCKED:
                raise LettersBusy from None
            if error.code != ACCESS_REFUSED:
                raise
        else:
            self._lock = channel

    async def fill(self) -> None:
        """Take all there are.

        Raises:
            LettersBusy: somebody else holds some.
            NoLetters: the queue does not stand.
            LinkLost: the channel is gone.
        """
        self._expected, others = await self._standing()
        if others:
            raise LettersBusy
        if self._expected:
            await self._consume()
        while self._count < self._expected and not await self._over():
            pass
        if self._failure is not None:
            raise self._failure
        if (await self._standing())[1] != self._consumers:
            raise LettersBusy

    async def _consume(self) -> None:
        await self._done(self._channel.raw.basic_qos(prefetch_count=PREFETCH))
        for number in range(self._expected // PREFETCH + 1):
            # The broker gives back in the order of the tags.
            tag = f"aui-worker dead {number:02d}"
            consuming = self._channel.raw.basic_consume(
                self._queue, self._receive, consumer_tag=tag
            )
            await self._done(consuming)
            self._consumers += 1

    async def _receive(self, delivered: DeliveredMessage) -> None:
        self._count += 1
        try:
            if self._failure is None:
                network = (delivered.routing_key or "").partition(".")[0]
                made = self._keep(delivered.delivery_tag or 0, envelope_of(delivered, network))
                if made is not None:
                    self.kept.append(made)
        except Exception as error:  # the library would only log it
            self._failure = error
            self._enough.set()
        if self._count >= self._expected:
            self._enough.set()

    async def _over(self) -> bool:
        """Wait for the rest; tell whether there is nothing left to wait for."""
        before = self._count
        try:
            async with asyncio.timeout(QUIET):
                await self._channel.lost.ends(self._enough.wait())
        except TimeoutError:
            return self._count == before and not (await self._standing())[0]
        return True

    async def _standing(self) -> tuple[int, int]:
        """Return how many letters lie in the queue, and how many consumers it has."""
        try:
            seen = await self._done(self._channel.raw.queue_declare(self._queue, passive=True))
        except LinkLost as error:
            if error.code == NOT_FOUND:
                raise NoLetters(f"there is no queue {self._queue}: no worker has made it") from None
            raise
        return seen.message_count or 0, seen.consumer_count or 0

    async def _done(self, operation: Awaitable[R]) -> R:
        return await self._channel.lost.ends(guarded(operation))


@asynccontextmanager
async def holding(
    session: Session, keep: Keep[T], queue: str = DEAD, sleep: Sleep = asyncio.sleep
) -> AsyncIterator[Holding[T]]:
    """Hold all letters for the length of the context, and give back what was not removed.

    Args:
        session: a connection that may read the queue.
        keep: makes something of each letter, and its tag; None of what is not to be kept.
        queue: where they lie.
        sleep: waits so many seconds.

    Raises:
        LettersBusy: somebody else holds them, and did not give them back in time.
        NoLetters: the queue does not stand.
        LinkLost: the connection is gone.
    """
    held = await _held(session, keep, queue, sleep)
    try:
        yield held
    finally:
        await held.release()


async def _held(session: Session, keep: Keep[T], queue: str, sleep: Sleep) -> Holding[T]:
    for pause in PAUSES:
        held = Holding(await session.channel(confirms=False), queue, keep)
        try:
            await held.lock(session)
            await held.fill()
        except LettersBusy:
            await held.release()
            # Two that have met must not meet again and again.
            await sleep(pause * random.uniform(0.5, 1.5))
        except BaseException:
            await held.release()
            raise
        else:
            return held
    raise LettersBusy(
        f"somebody else holds the letters: another aui-worker dead, or a consumer of {queue};"
        " try again when it has ended"
    )
