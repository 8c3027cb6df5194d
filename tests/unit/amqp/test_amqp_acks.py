"""Acks leave together, in order, and only while that can do no harm."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiormq.abc import ChannelFrame
from pamqp import commands as spec
from pamqp import frame

from tests.conformance.script import PATIENCE
from worker.amqp.acks import Acks
from worker.amqp.ledger import Ledger
from worker.amqp.loss import Loss
from worker.amqp.session import Channel

pytestmark = pytest.mark.anyio
NUMBER = 7
ROOM = 3


class Wire:
    """A channel that acks are sent over, and what was written to its connection."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[ChannelFrame] = asyncio.Queue(ROOM)
        self.channels: dict[int, object] = {}
        connection = SimpleNamespace(write_queue=self.queue, channels=self.channels)
        raw = SimpleNamespace(number=NUMBER, connection=connection)
        self.channels[NUMBER] = raw
        self.loss = Loss()
        self.settled: dict[int, bool] = {}
        self.channel = Channel(cast(Any, None), cast(Any, raw), self.loss)
        self.acks = Acks(self.channel, self.settled.__setitem__)

    def fill(self) -> None:
        """Have no room for more."""
        for _ in range(ROOM):
            self.queue.put_nowait(ChannelFrame(b"", should_close=False))

    def written(self) -> list[list[int]]:
        """Take what was written: the tags of each write that has any."""
        writes = [self.queue.get_nowait().payload for _ in range(self.queue.qsize())]
        return [tags_of(payload) for payload in writes if payload]


def tags_of(payload: bytes) -> list[int]:
    tags = []
    while payload:
        size, number, ack = frame.unmarshal(payload)
        assert number == NUMBER
        assert isinstance(ack, spec.Basic.Ack)
        assert not ack.multiple
        tags.append(ack.delivery_tag)
        payload = payload[size:]
    return tags


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def test_an_ack_is_what_pamqp_writes(wire: Wire) -> None:
    tag = 2**40 + 1
    wire.acks.send(tag)
    await asyncio.sleep(0)
    payload = wire.queue.get_nowait().payload
    assert payload == frame.marshal(spec.Basic.Ack(delivery_tag=tag), NUMBER)


async def test_those_of_one_turn_leave_in_one_write_in_order(wire: Wire) -> None:
    tags = [*range(500, 0, -1)]
    for tag in tags:
        wire.acks.send(tag)
    assert wire.settled == {}
    await asyncio.sleep(0)
    assert wire.written() == [tags]
    assert wire.settled == dict.fromkeys(tags, True)


async def test_those_of_the_next_turn_leave_after_them(wire: Wire) -> None:
    for tag in (1, 2):
        wire.acks.send(tag)
        await asyncio.sleep(0)
    assert wire.written() == [[1], [2]]


async def test_while_there_is_no_room_they_wait_in_order(wire: Wire) -> None:
    wire.fill()
    wire.acks.send(1)
    await asyncio.sleep(0)
    wire.acks.send(2)
    await asyncio.sleep(0)
    assert wire.settled == {}
    assert wire.written() == []
    while not wire.settled:  # noqa: ASYNC110 - it looks for room again by itself
        await asyncio.sleep(0)
    assert wire.written() == [[1, 2]]
    assert wire.settled == {1: True, 2: True}


async def test_what_waits_when_we_close_the_channel_goes_before(wire: Wire) -> None:
    wire.acks.send(1)
    wire.loss.tell("closed by us")
    assert wire.settled == {1: True}
    await asyncio.sleep(0)
    assert wire.written() == [[1]]


async def test_who_closes_the_channel_can_wait_until_they_have_left(wire: Wire) -> None:
    wire.fill()
    wire.acks.send(1)
    leaving = asyncio.create_task(wire.acks.left())
    await asyncio.sleep(0)
    assert not leaving.done()
    wire.written()
    async with asyncio.timeout(PATIENCE):
        await leaving
    assert wire.written() == [[1]]


async def test_a_connection_that_takes_nothing_is_not_waited_for_in_vain(wire: Wire) -> None:
    wire.fill()
    wire.acks.send(1)
    async with asyncio.timeout(PATIENCE):
        await wire.acks.left(within=0.01)
    wire.loss.tell("gone")
    async with asyncio.timeout(PATIENCE):
        await wire.acks.left()


async def test_nothing_goes_over_a_channel_that_the_broker_has_closed(wire: Wire) -> None:
    wire.acks.send(1)
    wire.channels.clear()
    await asyncio.sleep(0)
    wire.acks.send(2)
    wire.loss.tell("404")
    await asyncio.sleep(0)
    assert wire.written() == []
    assert wire.settled == {1: False, 2: False}


async def test_what_has_no_room_when_the_channel_is_lost_is_given_up(wire: Wire) -> None:
    wire.fill()
    wire.acks.send(1)
    await asyncio.sleep(0)
    wire.loss.tell("lost")
    assert wire.settled == {1: False}
    assert wire.written() == []
    await asyncio.sleep(0)
    assert wire.queue.empty()


@pytest.fixture
def ledger(wire: Wire) -> Ledger:
    """Keep account of three deliveries."""
    ledger = Ledger(wire.channel, time.monotonic)
    for tag in (1, 2, 3):
        ledger.enter(tag)
    return ledger


async def test_a_channel_is_not_over_until_its_acks_have_left(wire: Wire, ledger: Ledger) -> None:
    wire.fill()
    ledger.ack(1)
    ledger.recall()
    await asyncio.sleep(0)
    assert not ledger.over.is_set()
    assert not ledger.acked
    wire.written()
    async with asyncio.timeout(PATIENCE):
        await ledger.over.wait()
    assert wire.written() == [[1]]
    assert ledger.acked


async def test_nothing_is_acked_that_is_over(wire: Wire, ledger: Ledger) -> None:
    wire.loss.tell("the broker fell silent")
    ledger.ack(1)
    await asyncio.sleep(0)
    assert wire.written() == []


async def test_nothing_begins_because_acks_left_with_the_channel(
    wire: Wire, ledger: Ledger
) -> None:
    settled = list[int]()
    ledger.on_settled = settled.append
    ledger.ack(1)
    await asyncio.sleep(0)
    ledger.ack(2)
    wire.loss.tell("closed by us")
    assert wire.written() == [[1], [2]]
    assert settled == [1]
