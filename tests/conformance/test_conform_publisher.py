"""What the flow may expect of whoever publishes its replies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from aio_pika.abc import AbstractChannel

from tests.conformance.script import PATIENCE, final
from tests.conformance.watching import Broker, Inbox, broker_at, take_out, unique
from tests.fakes import FakePublisher
from tests.unit.relay.flow import let_run
from worker.amqp.choice import Choice, Mode
from worker.amqp.publisher import ReplyPublisher
from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.topology import HUB, UNCLAIMED
from worker.core.update import Update
from worker.core.verdict import Source, judge
from worker.relay.ports import Publisher

pytestmark = pytest.mark.anyio


class World(Protocol):
    """A publisher without a link, until it is given one."""

    publisher: Publisher

    async def connect(self) -> None:
        """Let the link come up."""

    async def disconnect(self) -> None:
        """Let the link go down."""

    async def lose(self) -> None:
        """Let the link go down and come back."""

    async def listen(self, task_id: str) -> None:
        """Bind a queue for everything of a task; the link must be up."""

    async def listen_directly(self) -> str:
        """Open a queue and return its name, for a job to name as its ``reply_to``."""

    async def heard(self, count: int) -> list[str]:
        """Return the ids of so many replies, in the order they came."""

    async def heard_until(self, reply: Reply) -> list[str]:
        """Return the ids of all replies up to this one, in the order they came."""

    async def unclaimed(self, reply: Reply) -> int:
        """Count how often a reply was put aside because nobody wanted it."""


class FakeWorld:
    """The fake publisher."""

    def __init__(self) -> None:
        self.fake = FakePublisher()
        self.fake.gate.shut()
        self.fake.deaf = {"final", "failed"}
        self.publisher: Publisher = self.fake
        self._from = 0

    async def connect(self) -> None:
        self.fake.gate.open()

    async def disconnect(self) -> None:
        self.fake.gate.shut()

    async def lose(self) -> None:
        self.fake.gate.shut()
        self.fake.gate.open()

    async def listen_directly(self) -> str:
        await self.listen("")
        return "sub.fake"

    async def listen(self, task_id: str) -> None:
        self.fake.deaf.clear()
        self._from = len(self.fake.published)

    async def heard(self, count: int) -> list[str]:
        assert len(self.fake.published) >= self._from + count
        return [reply.message_id for reply in self.fake.published[self._from :]][:count]

    async def heard_until(self, reply: Reply) -> list[str]:
        return await self.heard(len(self.fake.published) - self._from)

    async def unclaimed(self, reply: Reply) -> int:
        return self.fake.unclaimed.count(reply)


class RealWorld:
    """The real publisher over the real broker, publishing in one way or the other."""

    def __init__(self, broker: Broker, outside: AbstractChannel, mode: Mode) -> None:
        publisher = ReplyPublisher(broker.link, Choice(mode))
        broker.stack.push_async_callback(publisher.aclose)
        self.publisher: Publisher = publisher
        self._broker = broker
        self._outside = outside
        self._inbox = Inbox(outside)

    async def connect(self) -> None:
        await self._broker.run_link()

    async def disconnect(self) -> None:
        await self._broker.stop_link()

    async def lose(self) -> None:
        await self._broker.lose_link()

    async def listen(self, task_id: str) -> None:
        await self._inbox.bind(HUB, f"*.*.{task_id}.*")

    async def listen_directly(self) -> str:
        queue = unique("sub")
        await self._inbox.bind("amq.direct", queue, queue)
        return queue

    async def heard(self, count: int) -> list[str]:
        return [str(message.message_id) for message in await self._inbox.take(count)]

    async def heard_until(self, reply: Reply) -> list[str]:
        heard = list[str]()
        while reply.message_id not in heard:
            heard += await self.heard(1)
        return heard

    async def unclaimed(self, reply: Reply) -> int:
        return len(await take_out(self._outside, UNCLAIMED, reply.message_id))


@pytest.fixture(params=["fake", "plain", "fast"])
async def unlinked(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Run the suite over the fake and over the real ones, which have no link yet."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with broker_at(request.getfixturevalue("amqp_url")) as broker:
        yield RealWorld(broker, await broker.connection.channel(), request.param)


@pytest.fixture
async def world(unlinked: World) -> World:
    """Return a world whose link is up."""
    await unlinked.connect()
    return unlinked


@pytest.fixture
def replies() -> Replies:
    """Number the replies about a job that nobody else has."""
    task_id, job_id = unique("task"), unique("job")
    made = Replies(Address("default", job_id, job_id, task_id=task_id), base=0)
    made.begin_attempt()
    return made


async def publish(publisher: Publisher, *updates: Reply) -> None:
    """Publish updates as fast as it goes."""
    for update in updates:
        if not publisher.possible:
            await publisher.ready()
        publisher.update(update)


def task_of(replies: Replies) -> str:
    """Return the task of these replies."""
    return replies.address.task_id or ""


async def test_replies_arrive_in_the_order_they_were_published(
    world: World, replies: Replies
) -> None:
    await world.listen(task_of(replies))
    published = []
    for number in range(100):
        published.append(replies.update(Update.saying(f"text {number}")))
        await publish(world.publisher, published[-1])
    published.append(replies.retrying(judge(Source.SERVER_CLOSE, 1011), 0.5))
    await world.publisher.announce(published[-1])
    replies.begin_attempt()
    published.append(replies.update(Update.saying("text")))
    await publish(world.publisher, published[-1])
    published.append(replies.final(final("text")))
    await world.publisher.terminal(published[-1])
    heard = await world.heard(len(published))
    assert heard == [reply.message_id for reply in published]


async def test_replies_of_many_tasks_do_not_stand_in_each_others_way(world: World) -> None:
    async def converse(number: int) -> str:
        address = Address("default", unique("job"), "job", task_id=tasks[number])
        mine = Replies(address, base=0)
        for text in ("a", "b", "c"):
            await publish(world.publisher, mine.update(Update.saying(text)))
        await world.publisher.terminal(mine.final(final("abc")))
        return address.job_id

    tasks = [unique("task")] * 20
    await world.listen(tasks[0])
    async with asyncio.timeout(PATIENCE):
        jobs = await asyncio.gather(*(converse(number) for number in range(len(tasks))))
    heard = await world.heard(4 * len(tasks))
    for job_id in jobs:
        mine = [message_id for message_id in heard if message_id.startswith(job_id)]
        assert mine == [f"{job_id}:0:{seq}" for seq in (1, 2, 3, 4)]


async def test_a_terminal_reply_that_somebody_has_is_not_unclaimed(
    world: World, replies: Replies
) -> None:
    await world.listen(task_of(replies))
    reply = replies.final(final("Hi"))
    await world.publisher.terminal(reply)
    assert await world.heard(1) == [reply.message_id]
    assert await world.unclaimed(reply) == 0


@pytest.mark.parametrize("kind", ["final", "failed"])
async def test_a_terminal_reply_that_nobody_has_a_queue_for_is_unclaimed(
    world: World, replies: Replies, kind: str
) -> None:
    verdict = judge(Source.SERVER_CLOSE, 1008)
    reply = replies.final(final("Hi")) if kind == "final" else replies.failed(verdict)
    await world.publisher.terminal(reply)
    assert await world.unclaimed(reply) == 1


async def test_any_other_reply_that_nobody_has_a_queue_for_is_gone(
    world: World, replies: Replies
) -> None:
    update, created = replies.update(Update.saying("text")), replies.created(b"{}")
    await publish(world.publisher, update)
    await world.publisher.announce(created)
    assert await world.unclaimed(update) == 0
    assert await world.unclaimed(created) == 0


async def test_a_terminal_reply_waits_for_the_link_as_long_as_it_takes(
    unlinked: World, replies: Replies
) -> None:
    reply = replies.final(final("Hi"))
    publishing = asyncio.create_task(unlinked.publisher.terminal(reply))
    await let_run()
    assert not publishing.done()
    await unlinked.connect()
    async with asyncio.timeout(PATIENCE):
        await publishing
    assert await unlinked.unclaimed(reply) == 1


async def test_publishing_is_possible_while_there_is_a_link(
    unlinked: World, replies: Replies
) -> None:
    publisher, possible = unlinked.publisher, list[bool]()
    for _ in range(2):
        possible.append(publisher.possible)
        becoming_ready = asyncio.create_task(publisher.ready())
        await let_run()
        assert not becoming_ready.done()
        await unlinked.connect()
        async with asyncio.timeout(PATIENCE):
            await becoming_ready
        possible.append(publisher.possible)
        await publisher.ready()
        await publisher.terminal(replies.final(final("Hi")))
        await unlinked.disconnect()
    assert possible == [False, True] * 2


async def test_however_many_updates_there_are_at_once_each_of_them_arrives(
    world: World, replies: Replies
) -> None:
    """There is not room for all of them: who has more waits."""
    await world.listen(task_of(replies))
    sent = [replies.update(Update.saying("x" * number)) for number in range(1500)]
    last = replies.final(final("text"))
    async with asyncio.timeout(8 * PATIENCE):
        await publish(world.publisher, *sent)
        await world.publisher.terminal(last)
        heard = await world.heard(len(sent) + 1)
    assert heard == [reply.message_id for reply in (*sent, last)]


async def test_many_who_wait_for_room_keep_their_order(world: World) -> None:
    async def converse(number: int) -> Replies:
        mine = Replies(Address("default", unique("job"), "job", task_id=task_id), base=number)
        for text in range(40):
            await publish(world.publisher, mine.update(Update.saying(str(text))))
        await world.publisher.terminal(mine.final(final("text")))
        return mine

    task_id = unique("task")
    await world.listen(task_id)
    async with asyncio.timeout(8 * PATIENCE):
        jobs = await asyncio.gather(*(converse(number) for number in range(40)))
        heard = await world.heard(41 * len(jobs))
    for mine in jobs:
        prefix = f"{mine.address.job_id}:{mine.attempt}:"
        seqs = [int(name.removeprefix(prefix)) for name in heard if name.startswith(prefix)]
        assert seqs == list(range(1, 42))


async def test_a_terminal_reply_follows_the_updates_before_it_at_once(
    world: World, replies: Replies
) -> None:
    await world.listen(task_of(replies))
    await world.publisher.ready()
    sent = []
    for _ in range(10):
        sent += [replies.update(Update.saying("a")), replies.update(Update.saying("b"))]
        for update in sent[-2:]:
            world.publisher.update(update)
        sent.append(replies.final(final("ab")))
        await world.publisher.terminal(sent[-1])
    assert await world.heard(len(sent)) == [reply.message_id for reply in sent]


async def test_reply_to_has_everything_from_the_first_update_on(world: World) -> None:
    queue = await world.listen_directly()
    address = Address("default", unique("job"), "c", task_id=unique("task"), reply_to=queue)
    replies = Replies(address, base=0, on_hub=False)
    await world.publisher.ready()
    sent = [replies.update(Update.saying(str(number))) for number in range(20)]
    for update in sent:
        world.publisher.update(update)
    sent.append(replies.final(final("text")))
    await world.publisher.terminal(sent[-1])
    assert await world.heard(len(sent)) == [reply.message_id for reply in sent]
    assert await world.unclaimed(sent[-1]) == 0


async def test_after_a_loss_of_the_link_it_goes_on_in_order_and_nothing_comes_twice(
    world: World, replies: Replies
) -> None:
    await world.listen(task_of(replies))
    before = [replies.update(Update.saying(str(number))) for number in range(20)]
    await publish(world.publisher, *before)
    await world.lose()
    after = [replies.update(Update.saying(str(number))) for number in range(20)]
    async with asyncio.timeout(PATIENCE):
        await world.publisher.ready()
        await publish(world.publisher, *after)
        await world.publisher.terminal(last := replies.final(final("text")))
    names = [reply.message_id for reply in (*before, *after, last)]
    heard = await world.heard_until(last)
    assert heard == [name for name in names if name in heard]
    assert heard[-len(after) - 1 :] == names[-len(after) - 1 :]


async def test_a_reply_that_is_given_up_while_it_is_published_harms_no_other(
    world: World, replies: Replies
) -> None:
    await world.listen(task_of(replies))
    await world.publisher.ready()
    for _ in range(20):
        given_up = asyncio.create_task(world.publisher.announce(replies.created(b"{}")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await publish(world.publisher, replies.update(Update.saying("a")))
    last = replies.final(final("a"))
    async with asyncio.timeout(PATIENCE):
        await world.publisher.terminal(last)
    assert await world.unclaimed(last) == 0
    assert world.publisher.possible
