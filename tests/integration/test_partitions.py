"""Partitions that drain, close and open again, on a real RabbitMQ: in order and without loss."""

import asyncio
import logging

import pytest
from harness import PATIENCE
from lines import Line, Time, bodies, numbers

from tests.conformance.watching import running
from worker.amqp.backoff import FIRST, LONGEST
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.line import ALONE_COUNT, SUSPECT_COUNT
from worker.amqp.link import Link
from worker.amqp.partitions import NetworkPartitions

pytestmark = pytest.mark.anyio


async def test_acks_right_before_a_drained_channel_closes_reach_the_broker(line: Line) -> None:
    """Fifty at once, the last of which ends the drain; what was not begun comes back in order."""
    await line.publish(*numbers(1, 60))
    consumer = await line.consume(line.consumer(100))
    taken = await line.take(60)
    done = taken[:50]
    assert all(each.claim() for each in done)

    consumer.close()
    await asyncio.gather(*(each.ack() for each in done))
    await consumer.closed()
    consumer.open()
    again = await line.take(10)
    for each in again:
        await each.ack()
    consumer.close()
    await consumer.closed()

    assert bodies(again) == numbers(51, 60)
    assert await line.ready() == 0
    assert line.taken.empty()


async def test_the_next_worker_gets_a_drained_partition_when_the_begun_is_done(
    line: Line,
) -> None:
    """Not a moment sooner, and in order: two workers never have jobs of one task."""
    await line.publish(*numbers(1, 4))
    first = await line.consume()
    one, two, *_ = await line.take(4)
    elsewhere: asyncio.Queue[AmqpDelivery] = asyncio.Queue()
    await line.consume(line.consumer(take=elsewhere.put_nowait))
    assert one.claim()
    assert two.claim()

    first.close()
    await two.ack()
    assert await line.ready() == 0
    assert elsewhere.empty()
    await one.ack()
    async with asyncio.timeout(PATIENCE):
        moved = [await elsewhere.get() for _ in range(2)]

    assert bodies(moved) == ["3", "4"]
    assert not first.consuming


async def test_a_lost_channel_ends_a_drain(line: Line, amqp_url: str) -> None:
    """What is claimed is lost, so that nobody need wait for it."""
    await line.publish("1")
    link = Link("lost", amqp_url)
    async with running(link.run):
        consumer = await line.consume(line.consumer(link=link))
        (one,) = await line.take()
        assert one.claim()

        consumer.close()
        await (await link.session()).close()
        async with asyncio.timeout(PATIENCE):
            await consumer.closed()
        await one.ack()
        consumer.open()
        (again,) = await line.take()

    assert one.lost
    assert again.envelope.redelivered


async def test_what_is_closed_from_the_first_is_never_consumed(line: Line) -> None:
    await line.publish("1")
    consumer = line.consumer()
    consumer.close()
    async with running(consumer.run):
        await consumer.closed()
        assert await line.ready() == 1
        consuming = [consumer.consuming]
        consumer.open()
        assert bodies(await line.take()) == ["1"]
        consuming.append(consumer.consuming)
    consuming.append(consumer.consuming)

    assert consuming == [False, True, False]


async def test_what_is_suspected_most_is_taken_alone_and_then_all_go_on_as_ever(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """So the one that ends its workers is found: it is alone when it does."""
    await line.publish(*numbers(1, 4))
    await line.hand_out_in_vain(ALONE_COUNT)
    with caplog.at_level(logging.WARNING, "worker.amqp.line"):
        await line.consume()
        await line.publish(*numbers(5, 9))
        await line.until_ready(0)

        alone = list[AmqpDelivery]()
        for number in numbers(1, 4):
            alone += await line.take()
            assert line.taken.empty(), number
            assert alone[-1].claim()
            await alone[-1].ack()
        rest = await line.take(5)

    assert bodies([*alone, *rest]) == numbers(1, 9)
    assert [each.first for each in alone] == [True, False, False, False]
    assert all(each.claim() for each in rest)
    warnings = [record.message for record in caplog.records if line.queue in record.message]
    assert len(warnings) == 1
    assert "one after another" in warnings[0]


async def test_a_crasher_comes_first_again_and_its_neighbours_go_free_in_order(line: Line) -> None:
    """Whatever is before it is done by then, and nothing overtakes anything."""
    await line.publish("1", "crasher", "3", "4")
    await line.hand_out_in_vain(ALONE_COUNT)
    async with running(line.consumer().run):
        (one,) = await line.take()
        await one.ack()
        (crasher,) = await line.take()
        assert crasher.claim()
    await line.until_ready(3)

    async with running(line.consumer().run):
        taken = list[AmqpDelivery]()
        for _ in range(3):
            taken += await line.take()
            await taken[-1].ack()

    assert bodies([one, crasher, *taken]) == ["1", "crasher", "crasher", "3", "4"]
    assert [each.first for each in [crasher, *taken]] == [False, True, False, False]
    assert [each.envelope.delivery_count for each in taken] == [ALONE_COUNT + 1] * 3


async def test_suspects_begin_one_after_another_without_waiting_for_each_other(line: Line) -> None:
    """Nobody is slowed down for ever who was only there when a link was lost."""
    await line.publish(*numbers(1, 3))
    await line.hand_out_in_vain(SUSPECT_COUNT)
    await line.consume()
    await line.until_ready(0)
    first = await line.take()
    assert line.taken.empty()
    assert bodies([*first, *await line.take(2)]) == numbers(1, 3)


async def test_where_no_crasher_is_sought_all_are_taken_together(line: Line) -> None:
    await line.publish(*numbers(1, 3))
    await line.hand_out_in_vain(ALONE_COUNT)

    await line.consume(line.consumer(find_crashers=False))

    assert bodies(await line.take(3)) == numbers(1, 3)


async def test_a_partition_with_an_old_delivery_is_drained_and_opened_again(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Once only, however long what was begun still takes."""
    time = Time()
    await line.publish("1", "2")
    with caplog.at_level(logging.WARNING, "worker.amqp.consumer"):
        await line.consume(line.consumer(time=time))
        begun, waiting = await line.take(2)
        assert begun.claim()
        await time.pass_by(19 * 60)
        assert begun.claim()
        await line.publish("3")
        (young,) = await line.take()
        await time.pass_by(60)
        await time.pass_by(25 * 60)
        claims = [each.claim() for each in (waiting, young)]
        await begun.ack()
        again = await line.take(2)

    assert claims == [False, False]
    assert bodies(again) == ["2", "3"]
    assert all(each.claim() for each in again)
    assert len([r for r in caplog.records if "unsettled for 1200 s" in r.message]) == 1


async def test_what_is_given_back_again_and_again_waits_longer_each_time(line: Line) -> None:
    """Until something is done: then it works again."""
    time = Time()
    await line.publish("1", "2")
    await line.consume(line.consumer(time=time, find_crashers=False))

    for count in range(1, 5):
        one, _ = await line.take(2)
        one.give_back()
        await time.pauses(count)
        await time.pass_by(LONGEST)
    one, two = await line.take(2)
    await one.ack()
    two.give_back()
    pauses = await time.pauses(5)
    await time.pass_by(LONGEST)

    assert bodies(await line.take()) == ["2"]
    assert all(FIRST / 2 * 2**n <= pauses[n] <= FIRST * 2**n for n in range(4))
    assert pauses[4] <= FIRST


async def test_a_network_is_closed_and_opened_partition_by_partition(lines: list[Line]) -> None:
    """Its queue of strays is closed with it, and opened only with all."""
    for each in lines:
        await each.publish("1", "2", "3")
    consumers = [await each.consume() for each in lines]
    network = NetworkPartitions(consumers[:-1], consumers[-1:])
    begun, *_ = [(await each.take(3))[0] for each in lines]
    assert begun.claim()

    network.close()
    await asyncio.gather(*(consumer.closed() for consumer in consumers[1:]))
    assert begun.claim()
    await begun.ack()
    await consumers[0].closed()
    for each, count in zip(lines, (2, 3, 3), strict=True):
        await each.until_ready(count)
    assert not any(consumer.consuming for consumer in consumers)

    first, ready = list[list[str]](), list[list[int]]()
    for each, count in zip(lines, (2, 3), strict=False):
        network.open_one()
        first.append(bodies(await each.take(count)))
        ready.append([await other.ready() for other in lines])
    network.open()
    strays = bodies(await lines[2].take(3))

    assert [*first, strays] == [["2", "3"], ["1", "2", "3"], ["1", "2", "3"]]
    assert ready == [[0, 3, 3], [0, 0, 3]]
    assert all(consumer.consuming for consumer in consumers)
