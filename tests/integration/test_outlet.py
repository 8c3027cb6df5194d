"""A confirm channel over a real RabbitMQ: what is placed, where, and in which order."""

import asyncio
import gc
import uuid
import weakref
from collections.abc import AsyncIterator

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractQueue
from aiormq.exceptions import ChannelInvalidStateError
from harness import PATIENCE, Bench
from pamqp.common import FieldTable

from tests.conformance.watching import running
from worker.amqp.choice import Choice
from worker.amqp.conduit import LOOK
from worker.amqp.fast import MAX_UNWRITTEN, MAX_WRITE
from worker.amqp.link import Link
from worker.amqp.outlet import Outlet, Placed
from worker.amqp.publisher import ReplyPublisher
from worker.amqp.publishing import Publishing, Where
from worker.core.errors import LinkLost
from worker.core.job import Address
from worker.core.reply import Replies, Reply
from worker.core.update import Update
from worker.core.verdict import Source, judge

pytestmark = pytest.mark.anyio


@pytest.fixture
async def link(amqp_url: str) -> AsyncIterator[Link]:
    """Lend a link that is up."""
    lent = Link("test", amqp_url)
    async with running(lent.run):
        await lent.session()
        yield lent


@pytest.fixture(params=["plain", "fast"])
def outlet(request: pytest.FixtureRequest, link: Link) -> Outlet:
    """Return an outlet that publishes in one way or the other."""
    return Outlet(link, Choice(request.param))


@pytest.fixture
def queue() -> str:
    """Return the name of a queue of the test's own."""
    return f"sub.test.{uuid.uuid4().hex}"


@pytest.fixture
def replies() -> Replies:
    """Number the replies about a job."""
    return Replies(Address("default", uuid.uuid4().hex, "c", task_id="task"), base=0)


def to(queue: str) -> Where:
    """Send every reply straight to a queue."""
    return lambda _: ("", queue)


async def confirmed(publishing: Publishing) -> None:
    """Return once the broker has answered for every update."""
    async with asyncio.timeout(PATIENCE):
        while publishing.tally.updates:
            await publishing.tally.turn()


async def bodies(queue: AbstractQueue, count: int) -> list[bytes]:
    """Take so many messages out of a queue."""
    got = [await queue.get(no_ack=True, timeout=PATIENCE) for _ in range(count)]
    return [message.body for message in got]


async def test_an_update_goes_over_its_channel_or_not_at_all(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """Once the channel is lost it never leaves over the next one, behind its successors."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    publishing = await outlet.ready()
    publishing.channel.lost.tell("cut")

    with pytest.raises(LinkLost, match="cut"):
        await outlet.publish_over(publishing, "", queue, Message(b"late"), mandatory=True)

    assert await outlet.publish("", queue, Message(b"next")) is Placed.KEPT
    got = await declared.get()
    assert got.body == b"next"


async def test_what_is_started_in_order_leaves_in_order(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """Two hundred publishes at once, none awaited before the next is started."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    await outlet.ready()

    placed = await asyncio.gather(
        *(outlet.place("", queue, Message(str(n).encode(), message_id=f"{n}")) for n in range(200))
    )
    bodies = [int((await declared.get(no_ack=True)).body) for _ in range(200)]

    assert set(placed) == {Placed.KEPT}
    assert bodies == list(range(200))


async def test_what_nobody_takes_is_unrouted(outlet: Outlet, queue: str) -> None:
    """A mandatory publish to a queue that is not there comes back."""
    assert await outlet.place("", queue, Message(b"x", message_id="x")) is Placed.UNROUTED


async def test_a_full_queue_refuses_after_three_tries(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """The broker's nack is a verdict on the message, not on the link."""
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    await at.channel.declare_queue(queue, exclusive=True, arguments=full)

    assert await outlet.place("", queue, Message(b"x", message_id="x")) is Placed.REFUSED


async def test_a_missing_exchange_is_a_lost_link_with_its_code(outlet: Outlet) -> None:
    """The broker closes the channel; the next publish has a new one."""
    with pytest.raises(LinkLost) as lost:
        await outlet.publish(f"none.{uuid.uuid4().hex}", "key", Message(b"x"))

    assert lost.value.code == 404
    assert await outlet.place("", "nowhere", Message(b"x", message_id="y")) is Placed.UNROUTED


async def test_updates_and_what_is_awaited_leave_in_the_order_of_the_calls(
    outlet: Outlet, at: Bench, queue: str, replies: Replies
) -> None:
    """An awaited publish is started between two updates, in the same turn of the loop."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    publishing, expected, awaited = await outlet.ready(), [], []
    for number in range(50):
        update = replies.update(Update.saying(f"{number}"))
        publishing.update(update, to(queue))
        message = Message(str(number).encode(), message_id=f"{number}")
        awaited.append(asyncio.create_task(outlet.place("", queue, message)))
        await asyncio.sleep(0)
        expected += [update.body, message.body]

    placed = await asyncio.gather(*awaited)

    assert set(placed) == {Placed.KEPT}
    assert await bodies(declared, 100) == expected


async def test_bodies_of_every_size_arrive_whole_and_in_order(
    outlet: Outlet, at: Bench, queue: str, replies: Replies
) -> None:
    """Empty ones, those that need several frames, and more than may be written at once."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    publishing = await outlet.ready()
    sizes = [0, 1, 131_063, 131_064, 131_065, MAX_WRITE + 1, MAX_UNWRITTEN + 1, 10, 0]
    updates = [replies.update(Update.saying("x" * size)) for size in sizes]
    for update in updates:
        publishing.update(update, to(queue))
    await outlet.place("", queue, Message(b"", message_id="empty"))

    assert await bodies(declared, 10) == [*(update.body for update in updates), b""]


async def test_updates_that_wait_to_be_written_leave_no_room_for_more(
    link: Link, at: Bench, queue: str, replies: Replies
) -> None:
    """They are held in memory until the connection takes them."""
    await at.channel.declare_queue(queue, exclusive=True, arguments={"x-max-length": 1})
    outlet = Outlet(link, Choice("fast"))
    publishing = await outlet.ready()
    await outlet.roomy()
    possible = []
    for _ in range(2):
        possible.append(outlet.possible)
        publishing.update(replies.update(Update.saying("x" * MAX_UNWRITTEN)), to(queue))
    possible.append(outlet.possible)
    async with asyncio.timeout(PATIENCE):
        await outlet.roomy()

    assert possible == [True, False, False]
    await confirmed(publishing)


async def test_a_window_that_is_full_is_opened_by_confirms(
    link: Link, at: Bench, queue: str, replies: Replies
) -> None:
    """Never are more updates unconfirmed than it has room for."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    for mode in ("plain", "fast"):
        outlet, most = Outlet(link, Choice(mode), window=7), 0
        for number in range(100):
            await outlet.roomy()
            assert outlet.current is not None
            outlet.current.update(replies.update(Update.saying(f"{number}")), to(queue))
            most = max(most, outlet.current.tally.updates)
            assert outlet.possible == (outlet.current.tally.updates < 7)
        assert most == 7
        assert len(await bodies(declared, 100)) == 100


async def test_an_update_that_is_refused_or_that_nobody_takes_is_done_with(
    outlet: Outlet, at: Bench, queue: str, replies: Replies
) -> None:
    """Its confirm is all that is waited for, whatever it says."""
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    await at.channel.declare_queue(queue, exclusive=True, arguments=full)
    publishing = await outlet.ready()
    for _ in range(20):
        publishing.update(replies.update(Update.saying("refused")), to(queue))
        publishing.update(replies.update(Update.saying("nobody's")), to("nowhere"))
    # In between the broker's answer to one that is awaited is not lost.
    placed = await outlet.place("", queue, Message(b"x", message_id="x"))

    assert placed is Placed.REFUSED
    await confirmed(publishing)
    assert not publishing.channel.lost


async def test_a_channel_that_the_broker_closes_in_mid_stream_is_followed_by_another(
    outlet: Outlet, at: Bench, queue: str, replies: Replies
) -> None:
    """What was under way over it is told so, and why; what was confirmed before it is there."""
    declared = await at.channel.declare_queue(queue, exclusive=True)
    expected = []
    for number in range(5):
        publishing = await outlet.ready()
        updates = [replies.update(Update.saying(f"{n}")) for n in range(30)]
        for update in updates:
            publishing.update(update, to(queue))
        missing = f"none.{uuid.uuid4().hex}"
        with pytest.raises(LinkLost) as lost:
            await outlet.publish(missing, "key", Message(b"x"))
        assert lost.value.code == 404
        await publishing.channel.lost.wait()
        placed = await outlet.place("", queue, Message(b"end", message_id=f"{number}"))
        assert placed is Placed.KEPT
        expected += [*(update.body for update in updates), b"end"]

    assert await bodies(declared, len(expected)) == expected


async def test_what_is_published_while_the_broker_closes_the_channel_spares_the_connection(
    link: Link, at: Bench, queue: str, replies: Replies
) -> None:
    """A frame after the end of its channel would end the connection, and all else over it."""
    await at.channel.declare_queue(queue, exclusive=True, arguments={"x-max-length": 1})
    outlet, other = Outlet(link, Choice("fast")), Outlet(link, Choice("fast"))
    session, elsewhere = await link.session(), await other.ready()
    for _ in range(10):
        publishing = await outlet.ready()
        missing = f"none.{uuid.uuid4().hex}"
        losing = asyncio.create_task(outlet.publish(missing, "key", Message(b"x")))
        while not publishing.channel.lost:
            publishing.update(replies.update(Update.saying("late")), to(queue))
            await asyncio.sleep(0)
        await asyncio.gather(losing, return_exceptions=True)
    placed = await other.place("", queue, Message(b"end", message_id="end"))

    assert placed is Placed.KEPT
    assert other.current is elsewhere
    assert await link.session() is session


async def test_whoever_waits_for_room_goes_on_over_the_next_channel(
    link: Link, queue: str, replies: Replies
) -> None:
    """The confirms it waits for never come: its channel is gone."""
    for mode in ("plain", "fast"):
        outlet = Outlet(link, Choice(mode), window=1)
        publishing = await outlet.ready()
        publishing.tally.sent()  # one that is never confirmed
        waiting = [asyncio.create_task(outlet.roomy()) for _ in range(3)]
        await asyncio.sleep(0)
        publishing.channel.lost.tell("cut")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*waiting)
        assert outlet.current not in (None, publishing)


async def test_a_channel_that_is_closed_and_has_not_told_it_takes_no_publish(link: Link) -> None:
    """There is a moment between its end and the news of it."""
    publishing = await Outlet(link, Choice("fast")).ready()
    await publishing.channel.raw.close()

    with pytest.raises(ChannelInvalidStateError):
        await publishing.publish("", "nowhere", Message(b"x"), mandatory=False)


async def test_what_was_seen_of_the_link_is_forgotten_once_it_flows_again(amqp_url: str) -> None:
    """Nobody waits then for a confirm of which there is none to come."""

    class Moody(Link):
        blocked = False

    link = Moody("test", amqp_url)
    async with running(link.run):
        await link.session()
        outlet = Outlet(link, Choice("fast"))
        await outlet.roomy()
        possible = [outlet.possible]
        link.blocked = True
        await asyncio.sleep(2 * LOOK)
        possible.append(outlet.possible)
        link.blocked = False
        async with asyncio.timeout(PATIENCE):
            await outlet.roomy()
        possible.append(outlet.possible)

    assert possible == [True, False, True]


async def test_a_job_that_has_ended_is_not_kept_in_memory(
    link: Link, at: Bench, queue: str
) -> None:
    """Nothing of it is needed any more."""

    class Trace(dict[str, str]):
        """A mapping that can be watched."""

    await at.channel.declare_queue(queue, exclusive=True)
    publisher, trace = ReplyPublisher(link, Choice("fast")), Trace()
    address = Address("default", "job", "c", task_id="t", reply_to=queue, trace=trace)
    watched, replies = weakref.ref(trace), Replies(address, base=0, on_hub=False)
    del trace, address
    await publisher.ready()
    publisher.update(replies.update(Update.saying("")))
    kept = watched() is not None
    await publisher.terminal(replies.failed(judge(Source.SERVER_CLOSE, 1008)))
    await publisher.aclose()
    del replies
    gc.collect()

    assert kept
    assert watched() is None


async def test_a_publish_that_is_given_up_leaves_nothing_behind(
    outlet: Outlet, at: Bench, queue: str
) -> None:
    """Its return comes later, and is nobody's: the channel lives on."""
    publishing = await outlet.ready()
    for _ in range(10):
        message = Message(b"x", message_id=uuid.uuid4().hex)
        placing = asyncio.create_task(outlet.place("", "nowhere", message))
        await asyncio.sleep(0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)

    assert publishing.tally.awaited == 0
    assert await outlet.place("", "nowhere", Message(b"y", message_id="x")) is Placed.UNROUTED
    assert outlet.current is publishing


async def test_what_is_known_of_a_job_is_bounded_and_forgotten(
    link: Link, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames of a job are kept ready from its first update to its end."""
    monkeypatch.setattr("worker.amqp.fast.MAX_ROUTES", 3)
    publishing = await Outlet(link, Choice("fast")).ready()
    jobs = [Replies(Address("default", f"{n}", "c", task_id="t"), base=0) for n in range(5)]
    asked = list[str]()

    def where(reply: Reply) -> tuple[str, str]:
        asked.append(reply.address.job_id)
        return "", queue

    for job in (*jobs, *jobs[2:]):
        publishing.update(job.update(Update.saying("")), where)
    once = list(asked)
    jobs[4].begin_attempt()
    publishing.forget(jobs[3].address)
    for job in jobs[2:]:
        publishing.update(job.update(Update.saying("")), where)

    assert once == ["0", "1", "2", "3", "4"]
    assert asked[5:] == ["3", "4"]
    await confirmed(publishing)
