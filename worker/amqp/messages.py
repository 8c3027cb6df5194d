"""Turns replies and copies into AMQP messages, and deliveries into envelopes."""

from datetime import UTC, datetime
from typing import Any

from aio_pika import DeliveryMode, Message
from aiormq import spec
from aiormq.abc import DeliveredMessage

from worker.core.envelope import Envelope, Properties
from worker.core.reply import Reply, ReplyKind

JSON = "application/json"
APP_ID = "aui-worker"


Outgoing = Message | Reply
"""What is published: a reply, or any other message."""


def message_of(outgoing: Outgoing) -> Message:
    """Return the message to publish; of replies updates are transient, all else persistent."""
    if isinstance(outgoing, Message):
        return outgoing
    return Message(outgoing.body, type=outgoing.type, **_reply_fields(outgoing))


def properties_of(outgoing: Outgoing) -> spec.Basic.Properties:
    """Return the properties of that message; for a reply, without the message."""
    if isinstance(outgoing, Message):
        return outgoing.properties
    return spec.Basic.Properties(message_type=outgoing.type, **_reply_fields(outgoing))


def _reply_fields(reply: Reply) -> dict[str, Any]:
    transient = reply.kind is ReplyKind.UPDATE
    return {
        "headers": reply.headers,
        "content_type": JSON,
        "delivery_mode": DeliveryMode.NOT_PERSISTENT if transient else DeliveryMode.PERSISTENT,
        "priority": 0,
        "correlation_id": reply.address.correlation_id,
        "message_id": reply.message_id,
        "timestamp": datetime.now(UTC),
        "app_id": APP_ID,
    }


def copy_message(body: bytes, properties: Properties) -> Message:
    """Return the persistent message that carries a copy of a job."""
    return Message(
        body,
        headers=dict(properties.headers),
        content_type=properties.content_type,
        content_encoding=properties.content_encoding,
        delivery_mode=DeliveryMode.PERSISTENT,
        priority=properties.priority,
        correlation_id=properties.correlation_id,
        reply_to=properties.reply_to,
        message_id=properties.message_id,
        timestamp=properties.timestamp,
        type=properties.type,
        app_id=properties.app_id,
    )


def envelope_of(delivered: DeliveredMessage, network: str) -> Envelope:
    """Read a delivery of the client library."""
    raw = delivered.header.properties
    return Envelope(
        network=network,
        body=delivered.body,
        routing_key=delivered.routing_key or "",
        redelivered=bool(delivered.redelivered),
        properties=Properties(
            headers=dict(raw.headers or {}),
            content_type=raw.content_type,
            content_encoding=raw.content_encoding,
            priority=raw.priority,
            correlation_id=raw.correlation_id,
            reply_to=raw.reply_to,
            expiration=raw.expiration,
            message_id=raw.message_id,
            timestamp=raw.timestamp,
            type=raw.message_type,
            user_id=raw.user_id,
            app_id=raw.app_id,
        ),
    )
