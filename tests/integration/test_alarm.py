"""A broker short of memory takes no publishes: they wait, once each, and all know of it."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aio_pika import Message
from broker import Broker
from fault_proxy import FaultProxy
from harness import PATIENCE, Bench, Inbox, settings, working

from tests.conformance.watching import running
from tests.unit.relay.flow import let_run
from worker.amqp.choice import Choice
from worker.amqp.conduit import WINDOW
from worker.amqp.copies import JobCopies
from worker.amqp.declare import establish
from worker.amqp.link import Link
from worker.amqp.outlet import Outlet, Placed
from worker.amqp.proof import fault_of_fast
from worker.amqp.publisher import ReplyPublisher
from worker.amqp.session import Session
from worker.core.envelope import Properties
from worker.core.headers import ATTEMPT_BASE, MAYBE_SENT
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.topology import jobs_exchange
from worker.core.update import Update
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

WATERMARK = "0.6"
"""Of every broker that the tests start."""


class Memory:
    """The broker's memory, as far as it lets itself be told."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def short(self) -> None:
        """Raise the alarm: no memory is little enough."""
        await self._set("0.0001")

    async def enough(self) -> None:
        """End the alarm."""
        await self._set(WATERMARK)

    async def _set(self, watermark: str) -> None:
        command = ("set_vm_memory_high_watermark", watermark)
        await asyncio.to_thread(self._broker.ctl, *command)


@pytest.fixture
async def memory(broker: Broker) -> AsyncIterator[Memory]:
    """Lend the broker's memory; there is enough of it in the end."""
    if not broker.control:
        pytest.skip("the broker of TEST_AMQP_URL is not ours to control")
    lent = Memory(broker)
    try:
        yield lent
    finally:
        await lent.enough()


@pytest.fixture(params=["plain", "fast"])
def choice(request: pytest.FixtureRequest) -> Choice:
    """Publish in one way or the other."""
    return Choice(request.param)


class Watched(Link):
    """A link of which one sees how often it is asked whether it is blocked."""

    asked = 0

    @property
    def blocked(self) -> bool:
        """It is blocked."""
        self.asked += 1
        return super().blocked


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[Watched]:
    """Run a link for the length of the context; what stands on every broker stands."""

    async def prepare(session: Session) -> None:
        await establish(session, [], 1, "declare")

    link = Watched("alarm", url, prepare)
    async with running(link.run):
        await link.session()
        yield link


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true that nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def inbox_of(at: Bench) -> tuple[str, Inbox]:
    """Return the name of a queue of the test's own, and what arrives in it."""
    inbox, name = Inbox(), f"sub.test.{uuid.uuid4().hex}"
    queue = await at.channel.declare_queue(name, exclusive=True)
    await queue.consume(inbox.take)
    return name, inbox


def soon(awaitable: Awaitable[object]) -> "asyncio.Future[object]":
    """Begin something that may take a while."""
    return asyncio.ensure_future(awaitable)


async def test_a_publish_waits_for_the_end_of_an_alarm_and_is_not_repeated(
    at: Bench, amqp_url: str, memory: Memory, choice: Choice
) -> None:
    """However long it lasts: what is given up may arrive all the same, and then twice."""
    name, inbox = await inbox_of(at)
    async with linked(amqp_url) as link:
        outlet = Outlet(link, choice, patience=1.0, stalled=0.1)
        publishing = await outlet.ready()
        await memory.short()
        placing = soon(outlet.place("", name, Message(b"x", message_id="x")))
        await until(lambda: link.blocked)
        possible = [outlet.possible]
        becoming_ready = soon(outlet.ready())
        asked = link.asked
        await until(lambda: link.asked >= asked + 20)
        waits = [not placing.done(), not becoming_ready.done(), not publishing.channel.lost]
        await memory.enough()
        placed = await placing
        same = await becoming_ready is publishing
        await outlet.roomy()
        possible.append(outlet.possible)
        await outlet.place("", name, Message(b"y", message_id="y"))
        got = await inbox.until(lambda messages: len(messages) >= 2)

    assert [*waits, same] == [True] * 4
    assert possible == [False, True]
    assert placed is Placed.KEPT
    assert [message.body for message in got] == [b"x", b"y"]


async def test_a_connection_lost_during_an_alarm_leaves_nobody_waiting_for_ever(
    at: Bench, amqp_url: str, memory: Memory, choice: Choice
) -> None:
    """What was published over it is published again; it may arrive twice, as after any loss."""
    name, inbox = await inbox_of(at)
    async with FaultProxy(amqp_url) as proxy, linked(proxy.url) as link:
        one, other = Outlet(link, choice), Outlet(link, choice)
        await one.ready()
        await memory.short()
        placing = [soon(one.place("", name, Message(b"x", message_id="x")))]
        await until(lambda: link.blocked)
        assert await asyncio.to_thread(lambda: link.blocked)  # as an exporter that pushes asks
        placing.append(soon(one.place("", name, Message(b"y", message_id="y"))))
        placing.append(soon(other.place("", name, Message(b"z", message_id="z"))))
        await let_run()
        proxy.cut()
        await proxy.reached()
        await memory.enough()
        placed = await asyncio.gather(*placing)
        got = await inbox.until(lambda messages: len({m.body for m in messages}) == 3)

    assert placed == [Placed.KEPT] * 3
    came = Counter(message.body for message in got)
    assert (came[b"y"], came[b"z"]) == (1, 1)


async def test_updates_do_not_pile_up_during_an_alarm(
    at: Bench, amqp_url: str, memory: Memory, choice: Choice
) -> None:
    """Some are on their way; who has more waits, and all arrive in order."""
    replies = Replies(Address("default", "job", "job", task_id=uuid.uuid4().hex), base=0)
    replies.begin_attempt()
    async with linked(amqp_url) as link:
        inbox = await at.hub(f"default.*.{replies.address.task_id}.#")
        publisher, under_way = ReplyPublisher(link, choice), 0
        await publisher.ready()
        await memory.short()
        sent = [replies.update(Update.saying(f"text {number}")) for number in range(2 * WINDOW)]

        async def publish() -> None:
            nonlocal under_way
            for update in sent:
                if not publisher.possible:
                    await publisher.ready()
                publisher.update(update)
                under_way += 1

        publishing = soon(publish())
        await until(lambda: link.blocked)
        becoming_ready = soon(publisher.ready())
        await let_run()
        first, held_up = under_way, publisher.held_up
        waits = held_up and not becoming_ready.done()
        await memory.enough()
        await becoming_ready
        await publishing
        got = await inbox.until(lambda messages: len(messages) == len(sent))
        await publisher.aclose()

    assert waits
    assert 0 < first <= WINDOW
    assert [m.message_id for m in got] == [reply.message_id for reply in sent]


async def test_an_alarm_at_the_start_is_no_fault_of_fast_publishing(
    amqp_url: str, memory: Memory
) -> None:
    """The broker confirms nothing then, whatever it is sent, and says so."""
    async with linked(f"{amqp_url}?heartbeat=2") as link:
        session = await link.session()
        await memory.short()
        fault, blocked = await fault_of_fast(session, patience=2.0), link.blocked
        await memory.enough()

    assert blocked
    assert fault is None


async def test_a_worker_survives_an_alarm_in_mid_stream(
    at: Bench, amqp_url: str, sandbox: Sandbox, memory: Memory
) -> None:
    """It says that it cannot publish; afterwards every answer is there, once."""
    tasks = [sandbox.create_task("user") for _ in range(5)]
    async with working(settings(amqp_url, sandbox, at.network)) as worker:
        hub = await at.hub()
        jobs = [await at.say(task.id, "!load updates=60 interval=0.05") for task in tasks]
        await hub.until(lambda _: len(hub.by_job) == len(jobs))
        await memory.short()
        await until(worker.not_ready)
        reasons = worker.not_ready()
        await memory.enough()
        ends = [await hub.ended(job) for job in jobs]
        await until(lambda: not worker.not_ready())

    assert reasons == ["publishing is not possible"]
    assert {end.type for end in ends} == {"message.completed"}
    assert [len(hub.terminals(job)) for job in jobs] == [1] * len(jobs)
    assert max(Counter(message.message_id for message in hub.messages).values()) == 1


async def test_a_connection_that_stays_silent_without_an_alarm_is_given_up(
    at: Bench, amqp_url: str, choice: Choice, caplog: pytest.LogCaptureFixture
) -> None:
    """What became of the publish is unknown then: it is published again."""
    name, inbox = await inbox_of(at)
    async with FaultProxy(amqp_url) as proxy, linked(proxy.url) as link:
        outlet = Outlet(link, choice, patience=0.3, stalled=0.1)
        channel = (await outlet.ready()).channel
        proxy.freeze()
        placing = soon(outlet.place("", name, Message(b"x", message_id="x")))
        await until(lambda: not outlet.possible)
        up, given_up = link.up, bool(channel.lost)
        recovering = soon(outlet.roomy())
        await until(lambda: "not confirmed: no confirm for 0.3 s" in caplog.text)
        proxy.heal()
        placed = await placing
        await recovering
        possible = outlet.possible
        got = await inbox.until(lambda messages: len(messages) == 2)

    assert (up, given_up, possible) == (True, False, True)
    assert placed is Placed.KEPT
    assert [message.body for message in got] == [b"x", b"x"]


async def test_a_job_whose_copy_was_not_confirmed_says_that_it_may_have_been_sent(
    at: Bench, amqp_url: str, choice: Choice
) -> None:
    """Only the copies after that: the first one was the only one until then."""
    exchange = await at.channel.declare_exchange(jobs_exchange(at.network), auto_delete=True)
    name, inbox = await inbox_of(at)
    await (await at.channel.get_queue(name)).bind(exchange, "2a")
    properties = Properties(headers={"aui-channel": "sms"}, message_id="job")
    async with FaultProxy(amqp_url) as proxy, linked(proxy.url) as link:
        copies = JobCopies(link, choice)
        await copies.to_slot(at.network, "2a", b"first", properties)
        proxy.freeze()
        copying = soon(copies.to_slot(at.network, "2a", b"second", properties))
        await let_run()
        proxy.cut()
        proxy.heal()
        await copying
        got = await inbox.until(lambda messages: len(messages) == 2)

    assert [(message.body, message.headers) for message in got] == [
        (b"first", {"aui-channel": "sms"}),
        (b"second", {"aui-channel": "sms", MAYBE_SENT: True, ATTEMPT_BASE: 64}),
    ]
