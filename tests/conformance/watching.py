"""Watching a broker from outside, as a subscriber does."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity

from tests.conformance.script import PATIENCE
from worker.amqp.declare import establish
from worker.amqp.link import Link
from worker.amqp.session import Session
from worker.core.envelope import Properties
from worker.core.headers import DELIVERY_COUNT


@asynccontextmanager
async def running(*lives: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Let these run for the length of the context."""
    tasks = [asyncio.ensure_future(life()) for life in lives]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def unique(word: str) -> str:
    """Return a name that nobody else uses."""
    return f"{word}-{secrets.token_hex(4)}"


class Broker:
    """The broker's side of a test: a link that nobody runs yet, and a connection to watch over.

    What stands on every broker stands once the link is up.
    """

    def __init__(self, url: str, connection: AbstractConnection, stack: AsyncExitStack) -> None:
        self.link = Link("conformance", url, self._prepare)
        self.connection = connection
        self.stack = stack
        self._link_life = AsyncExitStack()

    async def run_link(self) -> None:
        """Bring the link up."""
        await self._link_life.enter_async_context(running(self.link.run))
        await self.link.session()

    async def stop_link(self) -> None:
        """Take the link down, until it is run again."""
        await self._link_life.aclose()

    async def lose_link(self) -> None:
        """Lose the link; it comes back by itself."""
        await (await self.link.session()).close()

    async def _prepare(self, session: Session) -> None:
        await establish(session, [], 1, "declare")


@asynccontextmanager
async def broker_at(url: str) -> AsyncIterator[Broker]:
    """Connect to a broker; the stack is unwound before the connection is closed."""
    async with await aio_pika.connect(url) as connection, AsyncExitStack() as stack:
        broker = Broker(url, connection, stack)
        stack.push_async_callback(broker.stop_link)
        yield broker


class Inbox:
    """A queue of the test's own, and what arrives in it; it goes with its connection."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def bind(self, exchange: str, key: str, name: str | None = None) -> "Inbox":
        """Open it."""
        queue = await self._channel.declare_queue(name, exclusive=True)
        await queue.bind(exchange, key)
        await queue.consume(self._arrived.put, no_ack=True)
        return self

    async def take(self, count: int = 1) -> list[AbstractIncomingMessage]:
        """Return the next messages, once they are there."""
        async with asyncio.timeout(PATIENCE):
            return [await self._arrived.get() for _ in range(count)]


async def take_out(
    channel: AbstractChannel, queue_name: str, message_id: str
) -> list[AbstractIncomingMessage]:
    """Take the messages of that id out of a queue; all others stay in it."""
    queue = await channel.declare_queue(queue_name, passive=True)
    found: list[AbstractIncomingMessage] = []
    others: list[AbstractIncomingMessage] = []
    while (message := await queue.get(fail=False)) is not None:
        (found if message.message_id == message_id else others).append(message)
    for message in found:
        await message.ack()
    for message in others:
        await message.nack()
    return found


async def stands(connection: AbstractConnection, exchange: str) -> bool:
    """Tell whether an exchange stands."""
    channel = await connection.channel()
    try:
        await channel.get_exchange(exchange, ensure=True)
    except ChannelNotFoundEntity:
        return False
    finally:
        with suppress(Exception):
            await channel.close()
    return True


def properties_of(message: AbstractIncomingMessage) -> Properties:
    """Return the properties of a message, in the words of the flow, without the broker's own."""
    timestamp = message.timestamp
    return Properties(
        headers={name: value for name, value in message.headers.items() if name != DELIVERY_COUNT},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        expiration=None if message.expiration is None else str(message.expiration),
        message_id=message.message_id,
        timestamp=timestamp.astimezone(UTC) if timestamp is not None else None,
        type=message.type,
        user_id=message.user_id,
        app_id=message.app_id,
    )
