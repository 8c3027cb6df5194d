"""The fast way to publish: frames that are ready, and one write for all of one turn of the loop.

It works on the inside of aiormq's channel, of which it uses only what has no underscore:
``write_queue``, ``delivery_tag``, ``confirmations`` and ``message_id_delivery_tag``. Nobody else
may publish over that channel: whoever did would be given our delivery tags.
"""

import time
from collections import deque
from uuid import uuid4

from aio_pika.exceptions import DeliveryError
from aiormq import Channel as RawChannel
from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError

from worker.amqp.frames import Route, Wire
from worker.amqp.messages import Outgoing, properties_of
from worker.amqp.publishing import Where
from worker.amqp.session import Channel
from worker.amqp.tally import Tally
from worker.amqp.unconfirmed import Confirmation, Unconfirmed, Updates
from worker.core.job import Address
from worker.core.reply import Reply

MAX_WRITE = 256 * 1024
"""Bytes written at once, unless one message is larger: a write holds up the loop."""
MAX_UNWRITTEN = 1024 * 1024
"""Bytes that may wait for the connection to take them before there is no room for updates."""
MAX_ROUTES = 4096
"""Jobs whose frames are kept ready; a job beyond costs the time to make them anew."""
FULL_PAUSE = 0.001


class FastPublishing:
    """Implements :class:`worker.amqp.publishing.Publishing` with frames of our own."""

    def __init__(self, channel: Channel, window: int) -> None:
        assert isinstance(channel.raw, RawChannel)  # so the proof found it
        self.channel = channel
        updates = Updates(window, time.monotonic)
        self.tally: Tally = updates
        self._updates = updates.confirmation
        self._raw = raw = channel.raw
        raw.confirmations = self._unconfirmed = Unconfirmed(updates)
        self._wire = Wire(raw.number, raw.max_content_size)
        self._routes: dict[int, _Kept] = {}
        self._unwritten: deque[bytes] = deque()
        self._size = 0
        self._writing = False
        self._oldest = (0, float("inf"))

    @property
    def room(self) -> bool:
        """Another update may be published."""
        return self._size < MAX_UNWRITTEN and self.tally.room

    def update(self, reply: Reply, where: Where) -> None:
        """Publish an update; its confirm is counted, that is all."""
        kept = self._routes.get(id(reply.address))
        if kept is None or kept.attempt != reply.attempt:
            kept = self._keep(reply, where)
        frames = kept.publish(reply.seq, reply.message_id.encode(), int(time.time()), reply.body)
        self.tally.sent()
        self._send(frames, self._updates)

    async def publish(self, exchange: str, key: str, message: Outgoing, *, mandatory: bool) -> None:
        """Publish a message; returns when the broker has confirmed it."""
        raw, properties = self._raw, properties_of(message)
        properties.message_id = message_id = properties.message_id or uuid4().hex
        frames = self._wire.publish(exchange, key, properties, message.body, mandatory=mandatory)
        if raw.is_closed:
            raise ChannelInvalidStateError(f"{raw!r} closed")
        # Made by the channel, which ends it with the reason when it is closed.
        confirmed: Confirmation = raw.create_future()
        with self.tally.awaiting() as heard:
            tag = self._send(frames, confirmed)
            if mandatory:
                raw.message_id_delivery_tag[message_id] = tag
            try:
                await confirmed
            except DeliveryError:
                heard()
                raise
            finally:
                if raw.message_id_delivery_tag.get(message_id) == tag:
                    del raw.message_id_delivery_tag[message_id]
            heard()

    def forget(self, address: Address) -> None:
        """Know no more of a job."""
        self._routes.pop(id(address), None)

    def oldest(self) -> float:
        """Return since when the oldest confirm is known to be awaited: since a call like this."""
        tag = next(iter(self._unconfirmed), 0)
        if tag != self._oldest[0]:
            since = time.monotonic() if tag else float("inf")
            self._oldest = tag, since
        return self._oldest[1]

    def _keep(self, reply: Reply, where: Where) -> "_Kept":
        """Make the frames of an attempt ready."""
        while len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        kept = self._routes[id(reply.address)] = _Kept(self._wire, reply, where)
        return kept

    def _send(self, frames: bytes, confirmation: Confirmation) -> int:
        """Publish what the frames say, with all that is published in this turn of the loop."""
        raw = self._raw
        raw.delivery_tag = tag = raw.delivery_tag + 1
        self._unconfirmed[tag] = confirmation
        self._unwritten.append(frames)
        self._size += len(frames)
        if not self._writing:
            self._writing = True
            raw.loop.call_soon(self._write)
        return tag

    def _write(self) -> None:
        """Hand the frames to the connection; what it does not take now waits, in order."""
        raw = self._raw
        if self.channel.lost or raw.connection.channels.get(raw.number) is not raw:
            # Frames of a channel that the broker has closed end the connection.
            self._unwritten.clear()
            self._size = 0
        # Half of its places are left to others: to heartbeats, among them.
        free = raw.write_queue.maxsize // 2 - raw.write_queue.qsize()
        while self._unwritten and free > 0:
            free -= 1
            raw.write_queue.put_nowait(
                ChannelFrame(
                    payload=self._next_write(),
                    should_close=False,
                    # Whoever writes waits then for the network, instead of piling up.
                    drain_future=raw.loop.create_future(),
                )
            )
        if self._unwritten:
            raw.loop.call_later(FULL_PAUSE, self._write)
        else:
            self._writing = False

    def _next_write(self) -> bytes:
        """Take as many frames as may be written at once."""
        if self._size <= MAX_WRITE:
            size, taken = self._size, list(self._unwritten)
            self._unwritten.clear()
        else:
            size, taken = 0, []
            while self._unwritten and (not taken or size + len(self._unwritten[0]) <= MAX_WRITE):
                taken.append(self._unwritten.popleft())
                size += len(taken[-1])
        self._size -= size
        return b"".join(taken)


class _Kept(Route):
    """The route of an attempt's updates; it keeps the address too, lest its id be reused."""

    __slots__ = ("_address", "attempt")

    def __init__(self, wire: Wire, reply: Reply, where: Where) -> None:
        super().__init__(wire, *where(reply), properties_of(reply))
        self._address = reply.address
        self.attempt = reply.attempt
