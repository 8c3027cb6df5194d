"""A quorum queue in memory, with the one channel that consumes it, as the client library shows it.

It returns what was not acked as RabbitMQ does: in order, but behind all that it has returned
before and not handed out again; and what was returned goes out before all that is new.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiormq.abc import ChannelFrame, DeliveredMessage
from pamqp import commands as spec
from pamqp import frame
from pamqp.header import ContentHeader

from worker.amqp.link import Link
from worker.amqp.loss import Loss
from worker.amqp.session import Channel
from worker.core.headers import DELIVERY_COUNT

Callback = Callable[[DeliveredMessage], Awaitable[None]]


@dataclass(eq=False)
class Stored:
    """A message."""

    number: int
    count: int = 0
    acked: bool = False


class RawChannel:
    """A channel as the client library shows it, the outer one and the one under it."""

    def __init__(self, queue: "QuorumQueue") -> None:
        self.queue = queue
        self.open = True
        self.prefetch = 0
        self.unacked: dict[int, Stored] = {}
        self.handed: list[int] = []
        self.loss = Loss()
        self.number = 1
        self.connection = Connection(self)
        self._callback: Callback | None = None
        self._tag = 0

    async def basic_qos(self, *, prefetch_count: int) -> None:
        await asyncio.sleep(0)
        self.prefetch = prefetch_count

    async def basic_consume(self, _: str, callback: Callback, *, arguments: dict[str, int]) -> None:
        await asyncio.sleep(0)
        self._callback = callback
        self.pump()

    def acked(self, tag: int) -> None:
        """Take an ack."""
        assert self.open, "an ack over a channel that is closed: that ends the connection"
        message = self.unacked.pop(tag)  # a tag of another channel, or acked twice: a KeyError
        message.acked = True
        self.pump()

    async def close(self) -> None:
        if self.open:
            self.queue.on_close(self)
        await asyncio.sleep(0)
        self.end()

    def end(self) -> None:
        """End it, from whichever side; what is unacked returns."""
        if self.open:
            self.open = False
            self.connection.channels.clear()
            self.queue.take_back(self)

    def pump(self) -> None:
        """Hand out as much as the prefetch allows."""
        while self._callback and self.open and len(self.unacked) < self.prefetch:
            message = self.queue.next()
            if message is None:
                return
            self._tag += 1
            self.unacked[self._tag] = message
            delivered = _delivered(message, self._tag)
            # The library runs each callback in a task of its own.
            self.queue.tasks.append(asyncio.ensure_future(self._callback(delivered)))


class Connection:
    """The connection of a channel: what is written to it arrives at once, if it is not full."""

    def __init__(self, channel: RawChannel) -> None:
        self.channels = {channel.number: channel}
        self.write_queue = self
        self._channel = channel

    def full(self) -> bool:
        """Tell whether it takes nothing now; each look is a turn of the loop."""
        queue = self._channel.queue
        queue.full_turns -= 1
        return queue.full_turns >= 0

    def put_nowait(self, written: ChannelFrame) -> None:
        payload = written.payload
        while payload:
            size, number, ack = frame.unmarshal(payload)
            assert number == self._channel.number
            assert isinstance(ack, spec.Basic.Ack)
            self._channel.acked(ack.delivery_tag)
            payload = payload[size:]


@dataclass(eq=False)
class QuorumQueue:
    """A queue, of which one consumer is active at a time; and the link to it.

    Attributes:
        fresh: what was never handed out.
        returned: what was, and came back.
        channels: all there have been.
        full_turns: for how long the connection takes no acks, in turns of the loop.
        on_close: called when the worker closes a channel.
    """

    fresh: deque[Stored] = field(default_factory=deque)
    returned: deque[Stored] = field(default_factory=deque)
    channels: list[RawChannel] = field(default_factory=list)
    tasks: list["asyncio.Future[None]"] = field(default_factory=list)
    published: int = 0
    full_turns: int = 0
    on_close: Callable[[RawChannel], None] = lambda _: None

    def publish(self, count: int = 0) -> None:
        """Add a message, which was handed out so often before."""
        self.published += 1
        (self.returned if count else self.fresh).append(Stored(self.published, count))
        for channel in self.channels:
            channel.pump()

    def next(self) -> Stored | None:
        """Take out the next message to be handed out."""
        for waiting in (self.returned, self.fresh):
            if waiting:
                return waiting.popleft()
        return None

    def take_back(self, channel: RawChannel) -> None:
        """Return what a channel leaves unacked, each handed out once more than before."""
        left = self.returned and channel.unacked
        assert not left, "less was consumed at once than was returned before: order is lost"
        for _, message in sorted(channel.unacked.items()):
            message.count += 1
            self.returned.append(message)
        channel.unacked.clear()

    @property
    def left(self) -> int:
        """Messages that are not done."""
        unacked = sum(len(channel.unacked) for channel in self.channels)
        return len(self.fresh) + len(self.returned) + unacked


class FakeSession:
    """A connection that is up until it is lost."""

    def __init__(self, queue: QuorumQueue) -> None:
        self.lost = Loss()
        self._queue = queue
        self._channels: list[RawChannel] = []

    async def channel(self, *, confirms: bool) -> Channel:
        assert not confirms
        await asyncio.sleep(0)
        raw = RawChannel(self._queue)
        self._channels.append(raw)
        self._queue.channels.append(raw)
        return Channel(cast(Any, raw), cast(Any, raw), raw.loss)

    def cut(self) -> None:
        """Lose it, and every channel with it."""
        self.lost.tell("cut")
        for channel in self._channels:
            channel.end()
            channel.loss.tell("cut")


class FakeLink:
    """A link that is up again at once."""

    def __init__(self, queue: QuorumQueue) -> None:
        self._queue = queue
        self.current = FakeSession(queue)

    async def session(self) -> FakeSession:
        await asyncio.sleep(0)
        if self.current.lost:
            self.current = FakeSession(self._queue)
        return self.current

    async def repair(self) -> None:
        raise AssertionError("nothing is missing")

    @property
    def port(self) -> Link:
        """The link as a consumer takes it."""
        return cast(Link, self)


def _delivered(message: Stored, tag: int) -> DeliveredMessage:
    """Return a message as the client library hands it over: RabbitMQ 4 counts from 1 on."""
    headers: dict[str, Any] = {DELIVERY_COUNT: message.count} if message.count else {}
    return DeliveredMessage(
        delivery=spec.Basic.Deliver("consumer", tag, message.count > 0, "", "jobs"),
        header=ContentHeader(properties=spec.Basic.Properties(headers=headers)),
        body=str(message.number).encode(),
        channel=cast(Any, None),
    )
