"""Sees what the workers of a test published, and holds it against the contract.

It reads along in a queue of its own, bound to the hub and to the dead letters, and looks into it
when a test is over: while it runs, it costs nothing but the broker's copies.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from conforming import DEAD, HUB, Seen, violation

PATIENCE = 30.0
SHOWN = 500
"""Characters of a message that breaks the contract."""
_NAMES = (
    "content_type",
    "content_encoding",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
)


def seen(message: AbstractIncomingMessage) -> Seen:
    """Return a message of the client library as the contract speaks of it."""
    told = {name: getattr(message, name) for name in _NAMES}
    return Seen(
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        properties={name: value for name, value in told.items() if value is not None},
        headers=dict(message.headers),
        body=message.body,
    )


_broken: list[str] = []


def hold(message: AbstractIncomingMessage) -> None:
    """Hold a message against the contract; what it breaks, the test is told when it is over."""
    one = seen(message)
    what = violation(one)
    if what is not None:
        _broken.append(f"{what}\n{str(one)[:SHOWN]}")


def judge() -> None:
    """Fail if anything broke the contract since this was last asked."""
    found = list(_broken)
    _broken.clear()
    if found:
        pytest.fail("against docs/contract:\n" + "\n".join(found), pytrace=False)


@asynccontextmanager
async def witnessing(url: str) -> AsyncIterator[None]:
    """Read along on a broker. With a reader there, nothing is unrouted."""
    async with await aio_pika.connect(url) as connection:
        name = f"sub.witness.{uuid.uuid4().hex}"
        for exchange in (DEAD, HUB):
            # Where an exchange does not stand yet, or stands no more, there is nothing to read.
            with suppress(ChannelNotFoundEntity):
                async with connection.channel() as channel:
                    queue = await channel.declare_queue(name, exclusive=True)
                    await queue.bind(exchange, "#")
        yield
        if not connection.is_closed:
            await _read(connection, name)


async def _read(connection: AbstractConnection, name: str) -> None:
    """Hold all that waits in the queue against the contract."""
    async with connection.channel() as channel:
        queue = await channel.declare_queue(name, exclusive=True)
        left = queue.declaration_result.message_count or 0
        done = asyncio.Event()

        async def take(message: AbstractIncomingMessage) -> None:
            nonlocal left
            hold(message)
            left -= 1
            if left == 0:
                done.set()

        if left:
            await queue.consume(take, no_ack=True)
            async with asyncio.timeout(PATIENCE):
                await done.wait()
