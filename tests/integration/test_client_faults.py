"""The client behind a line that breaks: no reply is lost, and of a job it is known what became."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from broker import Broker
from fault_proxy import FaultProxy
from harness import PATIENCE, Bench

from worker.client import Client, Final, NotAccepted, NotConnected, NotListening, Update
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def line(amqp_url: str) -> AsyncIterator[FaultProxy]:
    """Lend a line to the broker."""
    async with FaultProxy(amqp_url) as proxy:
        yield proxy


async def test_what_comes_while_the_line_is_down_is_heard_after_it(
    served: Bench, line: FaultProxy, amqp_url: str, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    async with (
        Client(line.url, served.network) as aui,
        Client(amqp_url, served.network) as other,
        aui.replies(task.id) as replies,
    ):
        line.blackhole()
        line.cut()
        finals = [await other.ask(f"!final-only | {n}", task_id=task.id) for n in range(3)]
        line.heal()
        async with asyncio.timeout(PATIENCE):
            heard = [await anext(replies) for _ in finals]
    assert [reply.job_id for reply in heard] == [final.job_id for final in finals]


async def test_a_line_that_is_cut_in_mid_stream_costs_no_answer(
    served: Bench, line: FaultProxy, sandbox: Sandbox
) -> None:
    task, texts = sandbox.create_task("user"), list[str]()

    def show(update: Update) -> None:
        texts.append(update.text)
        if len(texts) in (2, 6):
            line.cut()

    async with Client(line.url, served.network) as aui:
        final = await aui.ask(
            "!load updates=20 interval=0.02 chunk=5 | hello", task_id=task.id, on_update=show
        )
    assert final.text == sandbox.store.tasks[task.id].messages[-1].text
    assert texts == sorted(texts, key=len)
    assert line.connections >= 4


async def test_a_job_that_is_sent_while_the_line_is_down_is_sent_after_it(
    served: Bench, line: FaultProxy, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    async with Client(line.url, served.network) as aui, aui.replies(task.id) as replies:
        line.blackhole()
        line.cut()
        sending = asyncio.ensure_future(aui.send("!final-only | hello", task_id=task.id))
        await line.reached()
        line.heal()
        async with asyncio.timeout(PATIENCE):
            job = await sending
            final = await anext(replies)
    assert isinstance(final, Final)
    assert final.job_id == job
    assert len(sandbox.store.user_messages(task.id)) == 1


async def test_what_became_of_a_job_is_told_where_no_confirm_comes(
    served: Bench, line: FaultProxy
) -> None:
    async with Client(line.url, served.network, confirm_timeout=0.5) as aui:
        await aui.send("!final-only | open the channel", task_id="t1")
        line.freeze()
        with pytest.raises(NotAccepted) as unknown:
            await aui.send("!final-only | hello", task_id="t1")
        line.heal()
        line.blackhole()
        line.cut()
        # The publish above was on its way; this one never was.
        await line.reached()
        with pytest.raises(NotAccepted) as surely_not:
            await aui.send("!final-only | hello", task_id="t1")
        line.heal()
    assert unknown.value.maybe_queued
    assert not surely_not.value.maybe_queued


async def test_a_broker_that_is_not_there_is_told_within_the_time_given(line: FaultProxy) -> None:
    line.blackhole()
    with pytest.raises(NotConnected, match=r"no broker at amqp://.* within 0\.2 s"):
        async with Client(line.url, connect_timeout=0.2):
            pass
    line.heal()


async def test_wrong_credentials_are_told_at_once_and_not_shown(amqp_url: str) -> None:
    where = urlsplit(amqp_url)
    url = f"amqp://guest:wrong-secret@{where.hostname}:{where.port}{where.path}"
    with pytest.raises(NotConnected, match="refused the user name or password") as refused:
        async with Client(url):
            pass
    assert "wrong-secret" not in str(refused.value)


async def test_a_slow_reader_finds_the_newest_text_of_each_job(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    async with Client(amqp_url, served.network) as aui, aui.replies(task.id) as slow:
        first = await aui.ask("a microwave", task_id=task.id, on_update=lambda _: None)
        second = await aui.ask("!final-only | and more", task_id=task.id)
        heard = [await anext(slow), await anext(slow)]
    assert [reply.raw for reply in heard] == [first.raw, second.raw]


async def test_the_queue_goes_with_its_client(served: Bench, amqp_url: str) -> None:
    async with Client(amqp_url, served.network) as aui, aui.replies("t1"), aui.replies("t2"):
        queue = aui._connection.reply_to  # noqa: SLF001  nobody else knows its name
        await served.channel.declare_queue(queue, passive=True)
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        with pytest.raises(ChannelNotFoundEntity):
            await channel.declare_queue(queue, passive=True)


async def test_a_client_on_a_silent_line_can_be_left(served: Bench, line: FaultProxy) -> None:
    """No heartbeat tells it of the silence: five minutes pass between two."""
    async with (
        asyncio.timeout(PATIENCE),
        Client(f"{line.url}?heartbeat=300", served.network) as aui,
        aui.replies("t1"),
    ):
        line.freeze()
    line.heal()


async def test_a_right_that_is_missing_is_named(
    served: Bench, broker: Broker, sandbox: Sandbox
) -> None:
    """A producer that may send and not listen; a bot that may listen to one network alone."""
    where, name = urlsplit(broker.url), f"u-{served.network}"
    url = f"amqp://{name}:{name}@{where.hostname}:{where.port}{where.path}"
    task = sandbox.create_task("user")
    broker.ctl("add_user", name, name)
    try:
        broker.ctl("set_permissions", name, "^$", rf"^aui\.jobs\.{served.network}$", "^$")
        async with Client(url, served.network) as producer:
            await producer.send("!final-only | hello", task_id=task.id)
            with pytest.raises(NotListening, match=r"access to queue 'sub\.aui-client"):
                await producer.ask("hello", task_id=task.id)
            with pytest.raises(NotAccepted, match=r"may not write to aui\.jobs"):
                await producer.send("hello", task_id=task.id, network="default")
        # May not declare the hub: it is there, and that is enough.
        mine = r"^(sub\..*)$"
        broker.ctl(
            "set_permissions",
            name,
            mine,
            r"^(sub\..*|aui\.jobs\..*)$",
            r"^(sub\..*|aui\.replies)$",
        )
        async with Client(url, served.network) as bot:
            assert (await bot.ask("!final-only | hello", task_id=task.id)).text
    finally:
        broker.ctl("delete_user", name)


async def test_who_comes_first_declares_the_hub(broker: Broker) -> None:
    """A bot may be started before any worker has run; one that may not declare it is told."""
    where, vhost = urlsplit(broker.url), f"v{uuid.uuid4().hex[:8]}"
    name = f"u-{vhost}"
    broker.ctl("add_vhost", vhost)
    broker.ctl("add_user", name, name)
    try:
        url = f"amqp://{name}:{name}@{where.hostname}:{where.port}/{vhost}"
        broker.ctl("set_permissions", "-p", vhost, name, r"^sub\..*$", ".*", ".*")
        async with Client(url) as aui:
            with pytest.raises(NotListening, match=r"no exchange aui\.replies: no worker has run"):
                await aui.subscribe("#", queue="sub.early").__aenter__()
        broker.ctl("set_permissions", "-p", vhost, name, ".*", ".*", ".*")
        async with Client(url) as aui, aui.subscribe("#", queue="sub.early"):
            pass
    finally:
        broker.ctl("delete_vhost", vhost)
        broker.ctl("delete_user", name)
