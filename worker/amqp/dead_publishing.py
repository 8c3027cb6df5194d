"""Publishes single messages for a command, and says in words what became of each."""

import asyncio

from aio_pika import Message
from aio_pika.exceptions import DeliveryError, PublishError

from worker.amqp.guard import ACCESS_REFUSED, NOT_FOUND, guarded
from worker.amqp.messages import copy_message
from worker.amqp.session import Channel, Session
from worker.core.envelope import Properties
from worker.core.errors import LinkLost

REFUSED = "the broker refused it: a full queue"


class DeadPublishing:
    """Publishes over one session: mandatory, persistent, confirmed.

    Args:
        session: a connection that may write where it is published to.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._alone = asyncio.Lock()

    async def publish(
        self, exchange: str, key: str, body: bytes, properties: Properties
    ) -> str | None:
        """Publish a message; return None once the broker has it, or why it has not.

        Where the broker closed the channel it is published once more, alone: the one that it closed
        the channel for is not known, and others may have got through.

        Raises:
            LinkLost: the connection is gone; the message may have arrived.
        """
        message = copy_message(body, properties)
        try:
            return await self._publish(await self._shared(), exchange, key, message)
        except LinkLost:
            if self._session.lost:
                raise
        async with self._alone:
            channel = await self._session.channel(confirms=True)
            try:
                why = await self._publish(channel, exchange, key, message)
            except LinkLost as error:
                if self._session.lost:
                    raise
                return _told(error, exchange)
            await channel.close()
            return why

    async def _shared(self) -> Channel:
        async with self._opening:
            if self._channel is None or self._channel.lost:
                self._channel = await self._session.channel(confirms=True)
            return self._channel

    async def _publish(
        self, channel: Channel, exchange: str, key: str, message: Message
    ) -> str | None:
        target = await channel.pika.get_exchange(exchange, ensure=False)
        try:
            await channel.lost.ends(guarded(target.publish(message, key, mandatory=True)))
        except PublishError:
            return f"no queue is bound to exchange {exchange} for it"
        except DeliveryError:
            return REFUSED
        return None


def _told(error: LinkLost, exchange: str) -> str:
    if error.code == NOT_FOUND:
        return f"there is no exchange {exchange}: no worker serves that network"
    if error.code == ACCESS_REFUSED:
        return f"this user may not write to exchange {exchange}"
    return f"the broker refused it: {error}"
