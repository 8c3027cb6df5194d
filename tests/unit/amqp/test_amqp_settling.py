"""Claims, acks, drains and losses in any order: every message is done once, in order, and soon."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.amqp.quorum import FakeLink, QuorumQueue, RawChannel
from worker.amqp import acks
from worker.amqp.consumer import MAX_UNACKED_AGE, QueueConsumer
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.line import ALONE_COUNT

T = TypeVar("T")
PREFETCH = 4
LONG = 1000


@pytest.fixture(autouse=True, scope="module")
def impatient() -> Iterator[None]:
    """Have acks look for room in every turn of the loop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acks, "FULL_PAUSE", 0.0)
        yield


class Time:
    """A time that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.seconds + seconds, woken))
        await woken

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.seconds += seconds
        for due, woken in self._sleepers:
            if due <= self.seconds and not woken.done():
                woken.set_result(None)
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]


class Taken:
    """A delivery as whoever works on it sees it, and what the test knows of it."""

    def __init__(self, delivery: AmqpDelivery, channel: RawChannel, since: float) -> None:
        self.delivery = delivery
        self.channel = channel
        self.since = since
        self.number = int(delivery.envelope.body)
        self.count = delivery.suspicion
        self.claimed = False
        self.settled = False
        self.told = 0
        delivery.when_lost(self._tell)

    @property
    def live(self) -> bool:
        """It can still be acked."""
        return self.channel.open and not self.channel.loss

    @property
    def under_way(self) -> bool:
        """Somebody works on it."""
        return self.live and self.claimed and not self.settled

    def _tell(self) -> None:
        self.told += 1


class Settling(RuleBasedStateMachine):
    """A consumer of a queue, and somebody who works on what it hands on, as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bugs: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.bugs.append(context))
        self.queue = QuorumQueue()
        self.taken: list[Taken] = []
        self.time = Time()
        self.opened = True
        self.crashers = False
        self.stopping = False
        self.queue.on_close = self._closing

    @initialize(
        crashers=st.booleans(),
        counts=st.lists(st.integers(1, ALONE_COUNT + 1), max_size=PREFETCH),
        messages=st.integers(0, 2 * PREFETCH),
    )
    def start(self, crashers: bool, counts: list[int], messages: int) -> None:
        """Begin to consume a queue, of which some was handed out before: the first most often."""

        async def make() -> None:
            self.link = FakeLink(self.queue)
            self.consumer = QueueConsumer(
                self.link.port,
                "jobs",
                "acme",
                PREFETCH,
                self._take,
                find_crashers=crashers,
                now=self.time.now,
                sleep=self.time.sleep,
            )

        self.crashers = crashers
        self.do(make())
        for count in sorted(counts, reverse=True):
            self.queue.publish(count)
        self.publish(messages)
        self.life = self.loop.create_task(self.consumer.run())
        self.let_run()

    @rule(messages=st.integers(1, 5))
    def publish(self, messages: int) -> None:
        """Queue messages."""

        async def add() -> None:
            for _ in range(messages):
                self.queue.publish()

        self.do(add())

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        """Begin work on something, which cannot be on what is lost or done."""
        one = self.choose(data)
        claimed = one.delivery.claim()
        assert not (claimed and (one.settled or not one.live))
        assert claimed or not one.claimed or one.settled or not one.live
        one.claimed = one.claimed or claimed
        self.let_run()

    @precondition(lambda self: self.taken)
    @rule(
        data=st.data(),
        steps=st.lists(st.sampled_from(["ack", "claim, ack", "back"]), min_size=1),
        turns=st.integers(0, 20),
    )
    def settle(self, data: st.DataObject, steps: list[str], turns: int) -> None:
        """Be done with some, claimed or not, and unable to do others: all at the same time."""
        self.queue.full_turns = turns
        chosen = [(self.choose(data), step) for step in steps]

        async def all_at_once() -> None:
            await asyncio.gather(*(self._settle(one, step) for one, step in chosen))

        self.do(all_at_once())

    async def _settle(self, one: Taken, step: str) -> None:
        if step == "back":
            one.delivery.give_back()
            if not one.settled and one.live:
                self._recall()
        elif one.settled:
            with pytest.raises(RuntimeError):
                await one.delivery.ack()
        else:
            if step == "claim, ack":
                one.claimed = one.delivery.claim() or one.claimed
            one.settled = True
            await one.delivery.ack()
        one.settled = True

    @rule()
    def close(self) -> None:
        """Consume no longer: what is not begun cannot be begun."""
        self.opened = False

        def close_and_look() -> None:
            self.consumer.close()
            self._recall()

        self.call(close_and_look)

    def _recall(self, age: float = 0.0) -> None:
        for one in self.taken:
            if self.time.now() - one.since >= age:
                assert one.claimed or not one.delivery.claim()

    @rule()
    def open(self) -> None:
        """Consume again."""
        self.opened = True
        self.call(self.consumer.open)

    @rule()
    def lose_channel(self) -> None:
        """Have the broker close the channel, or cancel the consumer."""

        def lose() -> None:
            for channel in self.queue.channels:
                channel.end()
                channel.loss.tell("closed")

        self.call(lose)

    @rule()
    def lose_link(self) -> None:
        """Lose the connection."""
        self.call(self.link.current.cut)

    @rule(seconds=st.sampled_from([0.1, 10.0, MAX_UNACKED_AGE / 2, MAX_UNACKED_AGE]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass: what is not begun by then cannot be begun."""
        self.call(lambda: self.time.pass_by(seconds))
        self._recall(MAX_UNACKED_AGE)

    @rule()
    def restart(self) -> None:
        """Stop the worker and start it again."""
        self.stopping = True
        self.life.cancel()
        self.let_run()
        self.stopping = False
        assert self.life.cancelled()
        assert not any(channel.open for channel in self.queue.channels)
        self.life = self.loop.create_task(self.consumer.run())
        self.let_run()

    def _closing(self, channel: RawChannel) -> None:
        """Check that a channel is closed only when nothing that came over it is under way."""
        over_it = [one for one in self.taken if one.channel is channel]
        if not self.stopping and any(one.claimed and not one.settled for one in over_it):
            self.bugs.append({"message": "closed while something was under way"})

    @invariant()
    def nothing_breaks(self) -> None:
        """No ack goes astray, nor does a task of ours die."""
        for task in self.queue.tasks:
            assert task.done()
            task.result()
        self.queue.tasks.clear()
        assert not self.bugs
        assert not hasattr(self, "life") or not self.life.done()

    @invariant()
    def one_channel_at_most(self) -> None:
        """And none once it is closed, unless something that was begun is not settled."""
        live = [channel for channel in self.queue.channels if channel.open]
        assert len(live) <= 1
        under_way = any(one.under_way for one in self.taken)
        if not self.opened and not under_way:
            assert not live

    @invariant()
    def order_is_kept(self) -> None:
        """Over each channel, however often everything comes back."""
        for channel in self.queue.channels:
            assert channel.handed == sorted(channel.handed)

    @invariant()
    def what_is_suspected_most_is_alone(self) -> None:
        """Nothing else that came over the channel is under way while one is."""
        live = [one for one in self.taken if one.live and not one.settled]
        if self.crashers and any(one.count >= ALONE_COUNT for one in live):
            assert len(live) == 1

    @invariant()
    def a_loss_is_told_once(self) -> None:
        """To each that was handed on, when it is lost."""
        assert all(one.told == bool(one.channel.loss) for one in self.taken)
        assert all(one.delivery.lost == bool(one.channel.loss) for one in self.taken)

    def teardown(self) -> None:
        """Have everything done: nothing is stuck, and each message is done once."""
        try:
            if hasattr(self, "life"):
                self._finish()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.let_run()
            self.loop.close()

    def _finish(self) -> None:
        self.open()
        for _ in range(LONG):
            for one in self.taken:
                if one.live and not one.settled:
                    one.settled = True
                    self.do(one.delivery.ack())
            if not self.queue.left:
                break
            self.call(lambda: self.time.pass_by(5.0))
        assert not self.queue.left
        self.nothing_breaks()

    def choose(self, data: st.DataObject) -> Taken:
        """Choose something that was handed on, lately rather than long ago."""
        return data.draw(st.sampled_from(self.taken[: -2 * PREFETCH : -1]))

    def do(self, awaitable: Awaitable[T]) -> T:
        """Wait for something, and for what follows from it."""

        async def done() -> T:
            return await awaitable

        result = self.loop.run_until_complete(done())
        self.let_run()
        return result

    def call(self, function: Callable[[], object]) -> None:
        """Call something in the loop, and wait for what follows from it."""

        async def called() -> None:
            function()

        self.do(called())

    def let_run(self) -> None:
        """Let everything run that does not wait for time."""

        async def turns() -> None:
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def _take(self, delivery: AmqpDelivery) -> None:
        if not self.opened and delivery.claim():
            self.bugs.append({"message": "may be begun during a drain"})
        channel = next(channel for channel in self.queue.channels if channel.open)
        taken = Taken(delivery, channel, self.time.now())
        channel.handed.append(taken.number)
        self.taken.append(taken)


TestSettling = Settling.TestCase
TestSettling.settings = settings(max_examples=100, stateful_step_count=40)
