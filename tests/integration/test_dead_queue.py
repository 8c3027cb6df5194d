"""Looking at dead letters leaves them as they were, on a real RabbitMQ."""

import asyncio
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from harness import PATIENCE, Bench

from worker.amqp import dead_queue
from worker.amqp.dead_queue import LettersBusy, NoLetters, holding
from worker.amqp.link import linked
from worker.amqp.session import Session
from worker.core.envelope import Envelope
from worker.core.topology import DEAD, topology

pytestmark = pytest.mark.anyio

ARGUMENTS = next(queue for queue in topology([], 1).queues if queue.name == DEAD).arguments

KILLED = """
import asyncio, os, signal, sys
from worker.amqp.dead_queue import holding
from worker.amqp.link import linked

async def main(url, queue):
    seen = []

    def keep(tag, letter):
        seen.append(tag)
        if len(seen) == 30:  # in the middle of what the broker has handed out
            os.kill(os.getpid(), signal.SIGKILL)

    async with linked("test", url) as link:
        async with holding(await link.session(), keep, queue):
            raise AssertionError("should be dead")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def session(amqp_url: str) -> AsyncIterator[Session]:
    async with linked("test", amqp_url) as link:
        yield await link.session()


@pytest.fixture
async def queue(at: Bench) -> AsyncIterator[str]:
    """Lend an empty queue like ``aui.dead``."""
    name = f"dead.{uuid.uuid4().hex[:8]}"
    await at.channel.declare_queue(name, durable=True, arguments=dict(ARGUMENTS))
    yield name
    await at.channel.queue_delete(name)


def number(_: int, letter: Envelope) -> int:
    return int(letter.properties.message_id or "")


async def fill(at: Bench, queue: str, numbers: range, **more: Any) -> None:
    for one in numbers:
        message = aio_pika.Message(b"letter", message_id=str(one), delivery_mode=2, **more)
        await at.channel.default_exchange.publish(message, queue, mandatory=True)


async def seen(session: Session, queue: str) -> list[int]:
    """Look; return the letters in the queue's order."""
    async with holding(session, number, queue) as held:
        return held.kept


async def test_looking_fifty_times_changes_nothing(at: Bench, session: Session, queue: str) -> None:
    """Neither order nor count, with new letters coming now and then."""
    written = 0
    for look in range(50):
        if look % 10 == 0:
            await fill(at, queue, range(written, written + 20))
            written += 20
        assert await seen(session, queue) == list(range(written))


async def test_looking_does_not_keep_a_letter_alive(at: Bench, session: Session) -> None:
    """Looked at without a pause it goes all the same when its time is over."""
    name = f"dead.{uuid.uuid4().hex[:8]}"
    arguments = {**ARGUMENTS, "x-message-ttl": 1500}
    await at.channel.declare_queue(name, durable=True, arguments=arguments)
    await fill(at, name, range(3))
    assert await seen(session, name) == [0, 1, 2]
    async with asyncio.timeout(PATIENCE):
        while await seen(session, name):
            pass
    await at.channel.queue_delete(name)


async def test_what_is_taken_out_is_gone_and_the_rest_keeps_its_order(
    at: Bench, session: Session, queue: str
) -> None:
    await fill(at, queue, range(9))

    async with holding(session, lambda tag, letter: (tag, number(tag, letter)), queue) as held:
        for tag, one in held.kept:
            if one % 3 == 0:
                await held.remove(tag)

    assert await seen(session, queue) == [1, 2, 4, 5, 7, 8]


async def test_a_look_that_is_killed_leaves_the_order(
    at: Bench, amqp_url: str, session: Session, queue: str
) -> None:
    """SIGKILL in the middle of a look, after looks before it, when all come from one line."""
    await fill(at, queue, range(100))
    assert len(await seen(session, queue)) == 100
    for _ in range(3):
        words = [sys.executable, "-c", KILLED, amqp_url, queue]
        process = await asyncio.create_subprocess_exec(*words)
        assert await process.wait() == -signal.SIGKILL
        assert await seen(session, queue) == list(range(100))


async def test_more_letters_than_one_consumer_may_hold(
    at: Bench, session: Session, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several consumers of one channel hold them, and give them back in order."""
    monkeypatch.setattr(dead_queue, "PREFETCH", 4)
    await fill(at, queue, range(18))
    for _ in range(5):
        assert await seen(session, queue) == list(range(18))


async def test_a_second_one_is_told_that_somebody_is_in_the_way(
    at: Bench, session: Session, queue: str
) -> None:
    """It waits for a while; the first keeps all letters."""
    await fill(at, queue, range(3))
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with holding(session, number, queue) as held:
        with pytest.raises(LettersBusy, match="somebody else holds the letters"):
            async with holding(session, number, queue, sleep):
                pass
    assert held.kept == [0, 1, 2]
    assert len(waited) == len(dead_queue.PAUSES)
    assert await seen(session, queue) == [0, 1, 2]


async def test_beside_a_consumer_nothing_is_taken(at: Bench, session: Session, queue: str) -> None:
    """One of another program holds a part of the letters: they would come back in another order."""
    await fill(at, queue, range(6))
    channel = await at.connection.channel()
    await channel.set_qos(prefetch_count=2)
    two = asyncio.Semaphore(0)

    async def take(_: AbstractIncomingMessage) -> None:
        two.release()

    await (await channel.get_queue(queue, ensure=False)).consume(take)
    async with asyncio.timeout(PATIENCE):
        await two.acquire()
        await two.acquire()

    async def sleep(_: float) -> None:
        """Wait for nothing."""

    with pytest.raises(LettersBusy):
        async with holding(session, number, queue, sleep):
            pass
    await channel.close()
    assert await seen(session, queue) == list(range(6))


async def test_several_at_once_all_come_to_see_everything(
    at: Bench, amqp_url: str, queue: str
) -> None:
    """Whoever finds that another one was faster steps back, and looks again."""
    await fill(at, queue, range(50))

    async def look() -> list[int]:
        async with linked("test", amqp_url) as link:
            return await seen(await link.session(), queue)

    assert await asyncio.gather(*(look() for _ in range(4))) == [list(range(50))] * 4


async def test_letters_that_expire_are_not_waited_for(
    at: Bench, session: Session, queue: str
) -> None:
    """The broker counts an expired letter until it comes to it."""
    await fill(at, queue, range(1))
    await fill(at, queue, range(1, 3), expiration=0.001)

    assert await seen(session, queue) == [0]


async def test_without_the_queue_it_says_so(session: Session) -> None:
    with pytest.raises(NoLetters, match=r"there is no queue dead\.nowhere"):
        await seen(session, "dead.nowhere")


async def test_what_breaks_while_a_letter_is_read_is_told(
    at: Bench, session: Session, queue: str
) -> None:
    """The client library would have swallowed it; the letters are back all the same."""
    await fill(at, queue, range(3))

    def keep(_: int, letter: Envelope) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with holding(session, keep, queue):
            pass
    assert await seen(session, queue) == [0, 1, 2]
