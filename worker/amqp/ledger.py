"""Keeps account of what came over one channel: what may be begun, what is under way, since when.

A channel is closed only when nothing that came over it is under way any more, for only closing it
returns the rest to the queue in order: neither ``basic.cancel`` (the next consumer begins while we
still work) nor ``nack`` (which wedges a partition on some versions) do.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from worker.amqp.acks import Acks
from worker.amqp.session import Channel

ACKS_AT_ONCE = 32
"""RabbitMQ puts aside what is acked while more than this is still being written (the soft limit
of ``rabbit_fifo_client``), and forgets what it has put aside when the channel is closed."""
REST = 0.5
"""Seconds in which it writes that many, with some to spare."""


class Ledger:
    """The deliveries of one channel, by their tags.

    A *recall* ends the beginning of work: what is claimed goes on, the rest cannot be claimed any
    more. Once nothing is claimed the channel may be closed.

    Args:
        channel: what they come over.
        now: a monotonic clock, in seconds.

    Attributes:
        on_settled: told the tag of each delivery that is settled while others can be begun.
        begun: the broker has this consumer.
        recalled: nothing may be claimed any more.
        given_back: something could not be settled.
        over: set when nothing is or can be under way: recalled and settled, or the channel lost.
        closed: set when the channel is closed.
    """

    def __init__(self, channel: Channel, now: Callable[[], float]) -> None:
        self.channel = channel
        self.on_settled: Callable[[int], None] = lambda _: None
        self.begun = False
        self.recalled = False
        self.given_back = False
        self.over = asyncio.Event()
        self.closed = asyncio.Event()
        self._now = now
        self._entered = False
        self._since: dict[int, float] = {}
        self._claimable: set[int] = set()
        self._claimed: set[int] = set()
        self._acks: deque[float] = deque(maxlen=ACKS_AT_ONCE + 1)
        channel.lost.when(self.over.set)
        self._on_their_way = Acks(channel, self._settle)

    @property
    def open(self) -> bool:
        """Something may be begun."""
        return not (self.recalled or self.over.is_set())

    @property
    def oldest(self) -> float | None:
        """When the longest unsettled delivery came; None if there is none."""
        return next(iter(self._since.values()), None)

    @property
    def acked(self) -> bool:
        """Something that came over the channel was done."""
        return bool(self._acks)

    @property
    def rest(self) -> float:
        """Seconds to leave the channel open for, so that the broker forgets no ack."""
        if len(self._acks) <= ACKS_AT_ONCE:
            return 0.0
        return self._acks[0] + REST - self._now()

    async def left(self) -> None:
        """Return once every ack is on its way, or can no longer be."""
        await self._on_their_way.left()

    def enter(self, tag: int) -> bool:
        """Take in a delivery, which may be claimed from now on; tell whether it is the first."""
        first, self._entered = not self._entered, True
        self._since[tag] = self._now()
        self._claimable.add(tag)
        return first

    def claim(self, tag: int) -> bool:
        """Begin work on a delivery, unless it is recalled or its channel lost."""
        if self.over.is_set() or not (tag in self._claimable or tag in self._claimed):
            return False
        return self.hold(tag)

    def hold(self, tag: int) -> bool:
        """Keep the channel open until a delivery is settled, claimed or not; False if it is over.

        A recalled delivery that nobody claimed may still be done.
        """
        if self.over.is_set():
            return False
        self._claimable.discard(tag)
        self._claimed.add(tag)
        return True

    def ack(self, tag: int) -> None:
        """Tell the broker that a delivery is done, unless it is over; strike it out once told."""
        if self.hold(tag):
            self._on_their_way.send(tag)

    def give_back(self, tag: int) -> None:
        """Strike out a delivery that could not be done, and recall the others."""
        self.given_back = True
        self.recall()
        self._settle(tag, acked=False)

    def recall(self) -> bool:
        """Let nothing be begun any more; tell whether that is news."""
        news, self.recalled = not self.recalled, True
        self._claimable.clear()
        self._check()
        return news

    def _settle(self, tag: int, acked: bool) -> None:
        """Strike out a delivery: done, or to go back when the channel is closed."""
        self._since.pop(tag, None)
        self._claimable.discard(tag)
        self._claimed.discard(tag)
        if acked:
            self._acks.append(self._now())
        self._check()
        if self.open:
            self.on_settled(tag)

    def _check(self) -> None:
        if self.recalled and not self._claimed:
            self.over.set()
