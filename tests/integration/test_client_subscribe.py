"""A queue of a bot's own: nothing is lost over restarts, and what is not acked comes again."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import aio_pika
import pytest
from fault_proxy import FaultProxy
from harness import PATIENCE, Bench

from worker.client import Client, Final, InvalidRequest, NotListening, Reply, Subscribed
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def aui(served: Bench, amqp_url: str) -> AsyncIterator[Client]:
    """Lend a client of the bench's network."""
    async with Client(amqp_url, served.network, "sms") as client:
        yield client


@pytest.fixture
async def queue(served: Bench) -> AsyncIterator[str]:
    """Lend the name of a queue."""
    name = f"sub.test-{uuid.uuid4().hex}"
    yield name
    await served.channel.queue_delete(name)


def bot(aui: Client, queue: str, **more: int) -> Subscribed:
    """Subscribe as an SMS bot does."""
    keys = (f"{aui.network}.sms.*.final", f"{aui.network}.sms.*.failed")
    return aui.subscribe(*keys, queue=queue, **more)


async def take(replies: Subscribed) -> Reply:
    """Wait for the next reply."""
    async with asyncio.timeout(PATIENCE):
        return await anext(replies)


async def test_what_comes_while_the_program_is_down_is_there_when_it_is_up(
    aui: Client, queue: str, sandbox: Sandbox
) -> None:
    async with bot(aui, queue):
        pass
    finals = [await aui.ask(f"!final-only | {n}", user_id=uuid.uuid4().hex) for n in range(3)]
    await aui.ask("of another channel", user_id=uuid.uuid4().hex, channel="web")
    async with bot(aui, queue) as replies:
        heard = [await take(replies) for _ in finals]
        for reply in heard:
            await reply.ack()
    assert {reply.job_id for reply in heard} == {final.job_id for final in finals}
    async with bot(aui, queue) as replies:
        last = await aui.ask("!final-only | last", user_id="u")
        assert (await take(replies)).job_id == last.job_id


async def test_what_is_not_acked_comes_again(aui: Client, queue: str) -> None:
    """The program dies between the SMS and its ack, or before the SMS."""
    async with bot(aui, queue) as replies:
        final = await aui.ask("!final-only | hello", user_id="u")
        assert (await take(replies)).raw == final.raw
    async with bot(aui, queue) as replies:
        again = await take(replies)
        assert again.raw == final.raw
        await again.ack()


async def test_what_is_given_back_comes_again_and_others_go_on(aui: Client, queue: str) -> None:
    async with bot(aui, queue, prefetch=2) as replies:
        for text in ("one", "two"):
            await aui.ask(f"!final-only | {text}", user_id="u")
        one, two = await take(replies), await take(replies)
        await one.give_back(after=0.05)
        await two.ack()
        again = await take(replies)
        assert again.job_id == one.job_id
        await again.ack()


async def test_a_repeat_of_what_was_acked_is_left_out(
    aui: Client, queue: str, served: Bench, sandbox: Sandbox
) -> None:
    """The same job id again: its terminal reply is published once more."""
    task = sandbox.create_task("user")
    async with bot(aui, queue) as replies:
        await aui.send("!final-only | hello", task_id=task.id, job_id="one")
        first = await take(replies)
        await first.ack()
        await aui.ask("!final-only | hello", task_id=task.id, job_id="one")
        await aui.send("!final-only | next", task_id=task.id, job_id="two")
        second = await take(replies)
        await second.ack()
    assert (first.job_id, second.job_id) == ("one", "two")


async def test_a_line_that_breaks_costs_nothing_and_repeats_nothing(
    served: Bench, queue: str, amqp_url: str, aui: Client
) -> None:
    async with (
        FaultProxy(amqp_url) as line,
        Client(line.url, served.network) as away,
        bot(away, queue, prefetch=1) as replies,
    ):
        first = await aui.ask("!final-only | one", user_id="u")
        taken = await take(replies)
        line.cut()
        second = await aui.ask("!final-only | two", user_id="u")
        await taken.ack()  # over a connection that is gone: the broker hands it out again
        heard = await take(replies)
        await heard.ack()
    assert (taken.job_id, heard.job_id) == (first.job_id, second.job_id)


async def test_what_is_no_reply_is_left_out(aui: Client, queue: str, served: Bench) -> None:
    async with bot(aui, queue) as replies:
        await served.channel.default_exchange.publish(aio_pika.Message(b"?"), queue)
        final = await aui.ask("!final-only | hello", user_id="u")
        assert (await take(replies)).raw == final.raw


async def test_a_queue_with_other_settings_is_named(aui: Client, queue: str, served: Bench) -> None:
    await served.channel.declare_queue(queue, durable=True)
    with pytest.raises(NotListening, match=queue):
        await bot(aui, queue).__aenter__()


@pytest.mark.parametrize(
    ("keys", "more", "field"),
    [
        ((), {"queue": "sub.x"}, "keys give at least one"),
        (("a b",), {"queue": "sub.x"}, "keys must be"),
        (("#",), {"queue": ""}, "queue must be"),
        (("#",), {"queue": "amq.x"}, "queue must be"),
        (("#",), {"queue": "sub.x", "prefetch": 0}, "prefetch must be"),
    ],
)
async def test_a_mistake_is_named(
    aui: Client, keys: tuple[str, ...], more: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        aui.subscribe(*keys, **more)  # type: ignore[arg-type]
    assert str(refused.value).startswith(field)


async def test_two_programs_share_the_work(
    aui: Client, served: Bench, queue: str, amqp_url: str
) -> None:
    done: list[str] = []

    async def work(replies: Subscribed) -> None:
        async for reply in replies:
            assert isinstance(reply, Final)
            await reply.ack()
            done.append(reply.job_id)

    async with (
        Client(amqp_url, served.network) as other,
        bot(aui, queue, prefetch=1) as mine,
        bot(other, queue, prefetch=1) as theirs,
    ):
        working = [asyncio.create_task(work(replies)) for replies in (mine, theirs)]
        asked = [aui.ask(f"!final-only | {n}", user_id=uuid.uuid4().hex) for n in range(20)]
        finals = await asyncio.gather(*asked)
        async with asyncio.timeout(PATIENCE):
            while len(done) < len(finals):  # noqa: ASYNC110  two loops work them off
                await asyncio.sleep(0.01)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    assert sorted(done) == sorted(final.job_id for final in finals)
