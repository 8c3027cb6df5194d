"""The acks of one channel on their way out: those of one turn of the loop in one write.

Of aiormq's channel it uses its number, and of its connection the ``write_queue`` and the
``channels``, which are not documented: an ack through the channel costs a hundred times as much.
"""

import asyncio
from collections.abc import Callable
from math import ceil
from struct import Struct

from aiormq import spec
from aiormq.abc import ChannelFrame
from pamqp.constants import FRAME_END, FRAME_METHOD

from worker.amqp.session import Channel

FULL_PAUSE = 0.005
LAST_CHANCE = 2.0
"""Seconds in which a connection that takes nothing may begin to, before its channel is closed."""
_ACK = Struct(">BHIIQBB").pack
"""Type, channel, size, class and method, tag, flags, end; AMQP 0-9-1, 2.3.5 and 1.8.3.13."""
_SIZE = 13


class Acks:
    """Sends acks as soon as the connection has room for them.

    What still waits when the channel is lost is sent before it is closed, if there is room. It is
    never sent over a channel that the broker has closed: that would end the connection.

    Args:
        channel: what to send them over.
        settled: told of each tag, and whether its ack is on its way; otherwise it never will be.
    """

    def __init__(self, channel: Channel, settled: Callable[[int, bool], None]) -> None:
        self._channel = channel
        self._settled = settled
        self._waiting: list[int] = []
        self._writing = False
        channel.lost.when(self._send)

    def send(self, tag: int) -> None:
        """Send an ack, together with all others of this turn of the loop."""
        self._waiting.append(tag)
        if not self._writing:
            self._writing = True
            asyncio.get_running_loop().call_soon(self._write)

    async def left(self, within: float = LAST_CHANCE) -> None:
        """Return once none waits, or the channel is lost, or so many seconds are over."""
        looks = ceil(within / FULL_PAUSE)
        while self._waiting and not self._channel.lost and looks > 0:
            looks -= 1
            await asyncio.sleep(FULL_PAUSE)

    def _write(self) -> None:
        if self._waiting and self._channel.raw.connection.write_queue.full():
            asyncio.get_running_loop().call_later(FULL_PAUSE, self._write)
            return
        self._writing = False
        self._send()

    def _send(self) -> None:
        """Hand what waits to the connection, or give it up."""
        tags, self._waiting = self._waiting, []
        if not tags:
            return
        raw = self._channel.raw
        number, queue = raw.number, raw.connection.write_queue
        sent = raw.connection.channels.get(number) is raw and not queue.full()
        if sent:
            ack = spec.Basic.Ack.index
            frames = [_ACK(FRAME_METHOD, number, _SIZE, ack, tag, 0, FRAME_END) for tag in tags]
            queue.put_nowait(ChannelFrame(payload=b"".join(frames), should_close=False))
        for tag in tags:
            self._settled(tag, sent)
