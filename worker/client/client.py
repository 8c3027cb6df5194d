"""Publishes jobs and listens to replies, for the commands of the terminal."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from worker.amqp.guard import NOT_FOUND
from worker.amqp.link import Link, linked
from worker.amqp.messages import JSON, copy_message
from worker.amqp.outlet import Outlet, Placed
from worker.amqp.subscription import Subscription
from worker.client.replies import Newest, ReceivedReply, read_reply
from worker.core import headers as h
from worker.core.envelope import Properties
from worker.core.errors import LinkLost
from worker.core.job import DEFAULT_CHANNEL, MESSAGE_SEND
from worker.core.slots import slot_of
from worker.core.topology import DEFAULT_NETWORK, jobs_exchange


class NotDelivered(Exception):
    """A job was not accepted, or replies cannot be had; the text says why."""


class Client:
    """Talks to workers over one link; made by :func:`connected`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._outlet = Outlet(link)

    async def send(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        network: str = DEFAULT_NETWORK,
        channel: str = DEFAULT_CHANNEL,
        updates: str = "every",
        job_id: str | None = None,
    ) -> str:
        """Publish a job and wait until the broker has confirmed it.

        Args:
            text: the user's message.
            task_id: the task, or
            user_id: the user, whose latest task is continued.
            network: whose key to use.
            channel: a label for subscribers.
            updates: ``every``, ``off`` or like ``250ms``.
            job_id: its id; a random one where not given.

        Returns:
            the job id.

        Raises:
            NotDelivered: it was not accepted.
        """
        if (task_id is None) == (user_id is None):
            raise NotDelivered("a job is for a task or for a user: give one of them")
        who = {"task_id": task_id} if task_id is not None else {"user_id": user_id}
        properties = Properties(
            headers={h.CHANNEL: channel, h.UPDATES: updates},
            content_type=JSON,
            message_id=job_id or uuid.uuid4().hex,
            timestamp=datetime.now(UTC),
            type=MESSAGE_SEND,
        )
        body = json.dumps(who | {"text": text}).encode("ascii")
        exchange, slot = jobs_exchange(network), slot_of(task_id or user_id or "")
        try:
            placed = await self._outlet.publish(exchange, slot, copy_message(body, properties))
        except LinkLost as error:
            if error.code == NOT_FOUND:
                raise NotDelivered(
                    f"no exchange {exchange}: no worker has served network {network!r} here"
                ) from None
            raise NotDelivered(f"not confirmed, so perhaps not queued: {error}") from None
        if placed is not Placed.KEPT:
            raise NotDelivered(f"the broker did not queue it: {placed.value}")
        return properties.message_id or ""

    @asynccontextmanager
    async def replies(
        self, task_id: str | None = None, key: str = "#"
    ) -> AsyncIterator[AsyncIterator[ReceivedReply]]:
        """Listen to replies; the context is entered once it listens.

        Args:
            task_id: one task, over its exchange; None for all, over the hub.
            key: which of them.

        Yields:
            an iterator of replies, late and repeated ones left out.

        Raises:
            NotDelivered: there is nothing to listen to.
        """
        queue = f"sub.aui-worker.{uuid.uuid4().hex}"
        subscription = Subscription(self._link, queue, key, task_id)
        life = asyncio.create_task(subscription.run())
        bound = asyncio.create_task(subscription.bound.wait())
        try:
            await asyncio.wait({life, bound}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception()):
                raise NotDelivered(f"nothing to listen to: {error}")
            yield _news(subscription, life)
        finally:
            for task in (life, bound):
                task.cancel()
            await asyncio.gather(life, bound, return_exceptions=True)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Connect to the broker and stay connected.

    Raises:
        ConfigurationError: the broker refused the credentials or the virtual host.
    """
    async with linked("client", url) as link:
        yield Client(link)


async def _news(
    subscription: Subscription, life: asyncio.Task[None]
) -> AsyncIterator[ReceivedReply]:
    """Yield what is news, for as long as the subscription lives."""
    newest, envelopes = Newest(), aiter(subscription)
    while True:
        coming = asyncio.ensure_future(anext(envelopes))
        try:
            await asyncio.wait({coming, life}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise NotDelivered(f"nothing to listen to any more: {life.exception()}")
        finally:
            coming.cancel()
        reply = read_reply(coming.result())
        if reply is not None and newest.is_news(reply):
            yield reply
