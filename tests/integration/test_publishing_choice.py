"""Which way to publish is chosen by trying it on a real RabbitMQ."""

import asyncio
import gc
import uuid
import weakref
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from aio_pika import Message
from aiormq import Channel as RawChannel
from broker import Broker
from harness import PATIENCE, Bench, settings

from tests.conformance.watching import running
from worker.amqp.choice import LOSSES, Choice, Mode
from worker.amqp.fast import FastPublishing
from worker.amqp.frames import Wire
from worker.amqp.link import Link
from worker.amqp.outlet import Outlet, Placed
from worker.amqp.plain import PlainPublishing
from worker.amqp.proof import fault_of_fast, misshapen, miswritten
from worker.amqp.publisher import ReplyPublisher
from worker.amqp.session import Session
from worker.amqp.unconfirmed import Unconfirmed
from worker.app import running as running_worker
from worker.core.errors import ConfigurationError, LinkLost
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.update import Update
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

Breaks = Callable[[pytest.MonkeyPatch], None]
NOT_DIRECTLY = r"^(?!amq\.default$).*$"
"""A right to write anywhere but to the default exchange, by which a queue is reached by name."""


@pytest.fixture
async def session(amqp_url: str) -> AsyncIterator[Session]:
    """Lend a connection."""
    link = Link("test", amqp_url)
    async with running(link.run):
        yield await link.session()


@pytest.fixture
async def restricted(broker: Broker) -> AsyncIterator[str]:
    """Lend the URL of a user who may not publish to the default exchange."""
    name = f"u{uuid.uuid4().hex[:8]}"
    broker.ctl("add_user", name, name)
    broker.ctl("set_permissions", name, ".*", NOT_DIRECTLY, ".*")
    where = urlsplit(broker.url)
    yield f"amqp://{name}:{name}@{where.hostname}:{where.port}{where.path}"
    broker.ctl("delete_user", name)


def break_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pamqp write another thing than we do."""
    monkeypatch.setattr(Wire, "body", lambda *_: iter(()))


def break_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let confirms be kept in another way."""
    monkeypatch.setattr(RawChannel, "_confirm_delivery", lambda *_: None)
    monkeypatch.setattr(Unconfirmed, "keys", lambda _: [])


def break_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a name that we use be no more."""
    monkeypatch.delattr("worker.amqp.fast.RawChannel")


@pytest.mark.parametrize(("mode", "method"), [("auto", FastPublishing), ("fast", FastPublishing)])
async def test_what_works_is_chosen(session: Session, mode: Mode, method: type) -> None:
    """The broker of the tests and the client library that is locked take the fast way."""
    assert await fault_of_fast(session) is None
    assert await Choice(mode).method(session) is method


async def test_the_plain_way_needs_no_test(session: Session) -> None:
    """It is what the client library documents."""
    session.lost.tell("whatever")
    assert await Choice("plain").method(session) is PlainPublishing


@pytest.mark.parametrize("breaks", [break_frames, break_names])
async def test_what_does_not_work_is_told_of_and_done_without(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    breaks: Breaks,
) -> None:
    """Once: the choice stands, whatever comes."""
    choice = Choice("auto")
    with monkeypatch.context() as broken:
        breaks(broken)
        chosen = [await choice.method(session)]
    chosen.append(await choice.method(session))

    assert chosen == [PlainPublishing] * 2
    assert caplog.text.count("fast publishing fails") == 1


async def test_confirms_that_do_not_come_are_not_waited_for(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker has its time, and no more."""
    break_confirms(monkeypatch)
    assert await fault_of_fast(session, 0.2) == "no confirm within 0.2 s"


async def test_whoever_asks_for_the_fast_way_is_told_at_the_start(
    at: Bench, amqp_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, and the worker does not start."""
    break_frames(monkeypatch)
    asked = settings(amqp_url, sandbox, at.network, publishing="fast")
    with pytest.raises(ConfigurationError, match=r"WORKER_PUBLISHING: .* frames"):
        async with asyncio.timeout(PATIENCE), running_worker(asked):
            pass


async def test_a_connection_that_is_lost_in_the_test_decides_nothing_at_first(
    session: Session,
) -> None:
    """Only when it is lost again and again is it the test that loses it."""
    choice = Choice("auto")
    session.lost.tell("cut")
    for _ in range(LOSSES - 1):
        with pytest.raises(LinkLost):
            await choice.method(session)

    assert await choice.method(session) is PlainPublishing


async def test_a_missing_right_decides_nothing(restricted: str) -> None:
    """What can be seen without the broker does; and the connection lives on."""
    link = Link("test", restricted)
    async with running(link.run):
        session = await link.session()
        assert await fault_of_fast(session) is None
        assert not session.lost


async def test_a_reply_to_that_may_not_be_written_to_disturbs_nobody_at_the_hub(
    at: Bench, restricted: str
) -> None:
    """Each update to it ends a channel, but that of the hub is another one."""
    link = Link("test", restricted)
    inbox = await at.hub(f"{at.network}.#")
    async with running(link.run):
        publisher = ReplyPublisher(link, Choice("fast"))
        address = Address(at.network, "job", "c", task_id="task", reply_to="sub.none")
        replies = Replies(address, base=0)
        await publisher.ready()
        hub = publisher.possible
        for number in range(200):
            assert publisher.possible
            publisher.update(replies.update(Update.saying(f"{number}")))
            await asyncio.sleep(0)
        got = await inbox.until(lambda messages: len(messages) == 200)
        await publisher.aclose()

    assert hub
    assert [message.headers["aui-seq"] for message in got] == list(range(1, 201))


def test_our_frames_are_those_of_the_library() -> None:
    """It is what decides where the broker cannot be asked."""
    assert miswritten() is None


async def test_another_channel_than_expected_is_seen(session: Session) -> None:
    """Whatever the library calls a channel."""
    channel = await session.channel(confirms=True)
    assert misshapen(channel.raw) is None
    assert misshapen(object()) == "the channel is a object"
    assert isinstance(channel.raw, RawChannel)
    channel.raw.delivery_tag = 1
    assert misshapen(channel.raw) == "a channel's delivery_tag is odd"


async def test_a_lost_channel_leaves_nothing_with_its_session(session: Session) -> None:
    """One channel after another is lost in the life of a connection."""
    channel = await session.channel(confirms=True)
    loss = weakref.ref(channel.lost)
    await channel.close()
    channel = await session.channel(confirms=True)  # the library remembers the newest one
    gc.collect()

    assert loss() is None
    assert not channel.lost


async def test_a_channel_is_lost_with_its_session(session: Session) -> None:
    """At once, though a dead connection takes a while to be closed."""
    channel = await session.channel(confirms=True)
    session.lost.tell("cut")
    assert channel.lost.why == "cut"


async def test_nothing_is_left_of_the_test(session: Session, amqp_url: str) -> None:
    """Its channel is closed, and the connection can be worked with."""
    link = Link("other", amqp_url)
    async with running(link.run):
        outlet = Outlet(link, Choice("auto"))
        message = Message(b"x", message_id="x")
        assert await outlet.place("", "nowhere", message) is Placed.UNROUTED
        assert outlet.current is not None
        raw = outlet.current.channel.raw
        assert [one for one in raw.connection.channels.values() if one] == [raw]
