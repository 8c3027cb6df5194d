"""Publishing over one channel, as an outlet needs it.

There are two ways: :class:`~worker.amqp.plain.PlainPublishing`, through aio-pika, and
:class:`~worker.amqp.fast.FastPublishing`, for a fraction of the time. ``tests/conformance`` holds
both to the same suite.
"""

from collections.abc import Callable
from typing import Protocol

from worker.amqp.messages import Outgoing
from worker.amqp.session import Channel
from worker.amqp.tally import Tally
from worker.core.job import Address
from worker.core.reply import Reply

Where = Callable[[Reply], tuple[str, str]]
"""Tells the exchange and the routing key a reply goes to: the same for all updates of a job."""


class Publishing(Protocol):
    """Publishes over one confirm channel, in the order of the calls, until the channel is lost."""

    channel: Channel
    tally: Tally

    @property
    def room(self) -> bool:
        """Another update may be published; cheap."""

    def update(self, reply: Reply, where: Where) -> None:
        """Publish an update, once; what becomes of it nobody is told."""

    async def publish(self, exchange: str, key: str, message: Outgoing, *, mandatory: bool) -> None:
        """Publish a message; returns when the broker has confirmed it.

        Raises:
            DeliveryError: the broker refused it; a ``PublishError`` if no queue takes it.
            Exception: whatever the client library raises where the channel is gone.
        """

    def forget(self, address: Address) -> None:
        """Know no more of a job: its terminal reply is next."""

    def oldest(self) -> float:
        """Return since when a confirm is awaited, about; infinity if none is."""


Method = Callable[[Channel, int], Publishing]
"""Makes one, for a channel and a window: how many updates may be unconfirmed at once."""
