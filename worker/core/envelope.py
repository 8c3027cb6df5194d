"""A message as the broker handed it over, free of any client library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.core import headers as h

MAX_DELIVERY_COUNT = 2**20
"""Above the delivery limit of any of our queues; more can only be a producer's own header."""


@dataclass(frozen=True, slots=True)
class Properties:
    """The basic properties of AMQP 0-9-1, ``headers`` included; None where not set.

    ``expiration`` is in milliseconds, as text; ``timestamp`` is in UTC.
    """

    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    content_encoding: str | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: datetime | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivered message.

    Attributes:
        network: the network whose queue it came from.
        body: its bytes, untouched.
        routing_key: the key it was published with.
        properties: its properties and headers.
        redelivered: the broker handed it out before, so it may have been worked on.
    """

    network: str
    body: bytes
    routing_key: str = ""
    properties: Properties = field(default_factory=Properties)
    redelivered: bool = False

    @property
    def delivery_count(self) -> int:
        """How often the broker handed it out before: 0 on the first delivery.

        RabbitMQ 3.x sends the header from the first delivery on, 4.x from the second.
        """
        count = self.properties.headers.get(h.DELIVERY_COUNT, 0)
        counted = count if isinstance(count, int) and count > 0 else 0
        return max(min(counted, MAX_DELIVERY_COUNT), int(self.redelivered))
