"""Updates leave in order, as often as they are wanted, and never hold up the reading."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.conformance.script import PATIENCE
from tests.fakes import FakePublisher, Journal, ManualClock, Valve
from tests.unit.relay.flow import let_run, no_task_left
from worker.core.job import Address
from worker.core.pace import EVERY, OFF, Pace
from worker.core.reply import Replies, Reply
from worker.core.update import Update
from worker.relay.outbox import MAX_WAITING, MAX_WAITING_BYTES, Outbox

pytestmark = pytest.mark.anyio

MANY = 3 * MAX_WAITING


class Busy(FakePublisher):
    """A publisher that has no room for a moment while its gate is shut, but is not held up."""

    @property
    def held_up(self) -> bool:
        return False


class Exchange(Valve):
    """An exchange that stands unless it is shut."""

    @property
    def stands(self) -> bool:
        return self.is_open

    async def ready(self) -> None:
        await self.passed()


class Desk:
    """An outbox over a fake publisher."""

    def __init__(
        self,
        pace: Pace = EVERY,
        exchange: Exchange | None = None,
        now: Callable[[], float] | None = None,
        publisher: type[FakePublisher] = Busy,
    ) -> None:
        self.journal = Journal()
        self.publisher = publisher(self.journal)
        self.clock = ManualClock()
        self.replies = Replies(Address("default", "job", "job", task_id="task"), base=0)
        self.replies.begin_attempt()
        hold = exchange or Exchange()
        self.outbox = Outbox(self.publisher, self.replies, pace, hold, now or self.clock.now)

    @property
    def texts(self) -> list[str]:
        """What was published, in order."""
        return [json.loads(reply.body)["data"]["text"] for reply in self.publisher.published]

    @property
    def seqs(self) -> list[int]:
        """The numbers of what was published."""
        return [reply.seq for reply in self.publisher.published]


async def test_every_text_leaves_in_order_and_is_numbered_from_one() -> None:
    desk = Desk()
    texts = [f"text {number}" for number in range(20)]
    with no_task_left():
        async with desk.outbox as outbox:
            for text in texts:
                outbox.put(Update.saying(text))
                await asyncio.sleep(0)
    assert desk.texts == texts
    assert desk.seqs == list(range(1, 21))
    assert set(desk.publisher.kinds) == {"update"}
    assert outbox.coalesced == 0


async def test_nothing_leaves_before_publishing_may_begin() -> None:
    exchange = Exchange()
    exchange.shut()
    desk = Desk(exchange=exchange)
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        await exchange.reached()
        await let_run()
        assert desk.texts == []
        exchange.open()
        await desk.journal.until("update")


async def begun(desk: Desk) -> None:
    """Publish a first text: it is then known that publishing may begin."""
    desk.outbox.put(Update.saying("first"))
    await desk.journal.until("update")


async def test_once_it_has_begun_a_text_leaves_as_it_is_put_and_no_task_is_needed() -> None:
    desk = Desk()
    async with desk.outbox as outbox:
        await begun(desk)
        with no_task_left():
            for text in ("a", "b", "c"):
                outbox.put(Update.saying(text))
            assert desk.texts == ["first", "a", "b", "c"]


async def test_nobody_waits_for_the_beginning_before_there_is_a_text() -> None:
    exchange = Exchange()
    exchange.shut()
    desk = Desk(exchange=exchange)
    async with desk.outbox:
        with no_task_left():
            await let_run()
        exchange.open()


async def test_leaving_waits_until_publishing_may_begin_though_there_was_no_text() -> None:
    """What follows, from somebody else, must not go before that either."""
    exchange = Exchange()
    exchange.shut()
    desk = Desk(OFF, exchange=exchange)

    async def converse() -> None:
        async with desk.outbox:
            pass

    conversing = asyncio.create_task(converse())
    await exchange.reached()
    await let_run()
    assert not conversing.done()
    exchange.open()
    await conversing


async def test_what_waits_is_never_overtaken() -> None:
    desk = Desk()
    async with desk.outbox as outbox:
        await begun(desk)
        desk.publisher.gate.shut()
        outbox.put(Update.saying("a"))
        await desk.publisher.gate.reached()
        desk.publisher.gate.open()
        outbox.put(Update.saying("b"))
        assert desk.texts == ["first"]
        await desk.journal.until("update", 3)
        outbox.put(Update.saying("c"))
        assert desk.texts == ["first", "a", "b", "c"]


async def test_what_is_due_leaves_as_it_is_put_in_place_of_what_was_not() -> None:
    desk = Desk(Pace(0.25))
    async with desk.outbox as outbox:
        await begun(desk)
        outbox.put(Update.saying("a"))
        desk.clock.seconds += 0.3
        outbox.put(Update.saying("b"))
        assert desk.texts == ["first", "b"]
        outbox.put(Update.saying("c"))
    assert desk.texts == ["first", "b"]
    assert outbox.coalesced == 1


async def test_putting_never_waits_for_a_publisher_that_is_held_up() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    async with desk.outbox as outbox:
        for number in range(100):
            outbox.put(Update.saying(str(number)))
            await asyncio.sleep(0)
        assert desk.texts == []
        desk.publisher.gate.open()
    assert desk.texts == [str(number) for number in range(100)]


async def test_leaving_in_good_order_waits_until_everything_is_out() -> None:
    desk = Desk()
    desk.publisher.gate.shut()

    async def converse() -> None:
        async with desk.outbox as outbox:
            for text in ("a", "b", "c"):
                outbox.put(Update.saying(text))

    conversing = asyncio.create_task(converse())
    await desk.publisher.gate.reached()
    await let_run()
    assert not conversing.done()
    desk.publisher.gate.open()
    await conversing
    assert desk.texts == ["a", "b", "c"]


async def test_when_too_many_wait_the_newest_stands_for_all_of_them() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    async with desk.outbox as outbox:
        for number in range(MANY):
            outbox.put(Update.saying(str(number)))
            await asyncio.sleep(0)
        desk.publisher.gate.open()
    left = [int(text) for text in desk.texts]
    assert len(left) <= MAX_WAITING + 1
    assert left == sorted(left)
    assert left[-1] == MANY - 1
    assert len(left) + outbox.coalesced == MANY
    assert desk.seqs == list(range(1, len(left) + 1))


async def test_as_many_as_may_wait_are_all_published() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    async with desk.outbox as outbox:
        for number in range(MAX_WAITING):
            outbox.put(Update.saying(str(number)))
        desk.publisher.gate.open()
    assert desk.texts == [str(number) for number in range(MAX_WAITING)]


async def test_long_texts_are_bounded_in_characters_too() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    text = "x" * (MAX_WAITING_BYTES // 4)
    async with desk.outbox as outbox:
        for number in range(20):
            outbox.put(Update.saying(text + str(number)))
            await asyncio.sleep(0)
        desk.publisher.gate.open()
    assert len(desk.texts) <= 7
    assert desk.texts[-1] == text + "19"
    assert len(desk.texts) + outbox.coalesced == 20


async def test_once_published_a_text_makes_room_again() -> None:
    desk = Desk()
    texts = ["a", "x" * (MAX_WAITING_BYTES // 2), "b"]
    async with desk.outbox as outbox:
        outbox.put(Update.saying("x" * (MAX_WAITING_BYTES - 10)))
        await desk.journal.until("update")
        desk.publisher.gate.shut()
        for text in texts:
            outbox.put(Update.saying(text))
        desk.publisher.gate.open()
    assert desk.texts[1:] == texts
    assert outbox.coalesced == 0


async def test_while_nothing_can_be_published_the_newest_stands_for_all_of_them() -> None:
    desk = Desk(publisher=FakePublisher)
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        await desk.journal.until("update")
        desk.publisher.gate.shut()
        for text in ("b", "c", "d"):
            outbox.put(Update.saying(text))
            await let_run()
        assert desk.texts == ["a"]
        desk.publisher.gate.open()
        await desk.journal.until("update", 2)
        outbox.put(Update.saying("e"))
    assert desk.texts == ["a", "d", "e"]
    assert desk.seqs == [1, 2, 3]
    assert outbox.coalesced == 2


async def test_off_means_no_update_at_all() -> None:
    desk = Desk(OFF)
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        outbox.put(Update.saying("b"))
        await let_run()
    assert desk.texts == []
    assert desk.replies.final(b"{}").seq == 1


async def test_with_an_interval_what_comes_too_early_is_replaced_by_what_is_newer() -> None:
    desk = Desk(Pace(0.25))
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        await desk.journal.until("update")
        for text in ("b", "c"):
            desk.clock.seconds += 0.1
            outbox.put(Update.saying(text))
            await let_run()
        assert desk.texts == ["a"]
        desk.clock.seconds += 0.1
        outbox.put(Update.saying("d"))
        await desk.journal.until("update", 2)
    assert desk.texts == ["a", "d"]
    assert desk.seqs == [1, 2]
    assert outbox.coalesced == 2


async def test_at_the_end_what_is_not_yet_due_is_left_to_what_follows() -> None:
    desk = Desk(Pace(0.25))
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        await desk.journal.until("update")
        outbox.put(Update.saying("b"))
    assert desk.texts == ["a"]


async def test_at_the_end_what_is_due_still_leaves() -> None:
    desk = Desk(Pace(0.25))
    desk.publisher.gate.shut()
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        desk.publisher.gate.open()
    assert desk.texts == ["a"]


async def test_what_was_held_back_leaves_by_itself_when_its_time_has_come() -> None:
    loop = asyncio.get_running_loop()
    desk = Desk(Pace(0.02), now=loop.time)
    async with desk.outbox as outbox:
        outbox.put(Update.saying("a"))
        await desk.journal.until("update")
        outbox.put(Update.saying("b"))
        await desk.journal.until("update", 2)
    assert desk.texts == ["a", "b"]


async def test_an_exception_inside_is_passed_on_and_stops_the_publishing() -> None:
    desk = Desk()
    desk.publisher.gate.shut()

    async def converse() -> None:
        async with desk.outbox as outbox:
            outbox.put(Update.saying("a"))
            await desk.publisher.gate.reached()
            raise ZeroDivisionError

    with no_task_left():
        with pytest.raises(ZeroDivisionError):
            await converse()
        desk.publisher.gate.open()
    assert desk.texts == []


async def test_cancelling_whoever_waits_to_leave_stops_the_publishing() -> None:
    desk = Desk()
    desk.publisher.gate.shut()

    async def converse() -> None:
        async with desk.outbox as outbox:
            outbox.put(Update.saying("a"))

    with no_task_left():
        conversing = asyncio.create_task(converse())
        await desk.publisher.gate.reached()
        conversing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await conversing


async def test_a_publisher_that_breaks_is_not_hushed_up() -> None:
    class Broken(FakePublisher):
        def update(self, reply: Reply) -> None:
            raise ZeroDivisionError

    desk = Desk()
    outbox = Outbox(Broken(), desk.replies, EVERY, Exchange(), desk.clock.now)

    async def converse() -> None:
        async with asyncio.timeout(PATIENCE), outbox:
            outbox.put(Update.saying("a"))
            await let_run()
            outbox.put(Update.saying("b"))

    with no_task_left(), pytest.raises(ZeroDivisionError):
        await converse()
