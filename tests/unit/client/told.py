"""Replies as a worker makes them and a client reads them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from worker.amqp.messages import JSON
from worker.client.reading import read_reply
from worker.client.replies import Reply
from worker.core.envelope import Envelope, Properties
from worker.core.job import Address
from worker.core.reply import Reply as Sent
from worker.core.reply import ReplyKind

R = TypeVar("R", bound=Reply)

TO = Address("acme", "wamid.1", "c-1", "sms", "t1")


def sent(kind: ReplyKind, attempt: int, seq: int, body: object = None, **extra: Any) -> Envelope:
    """Return a reply as it is on the wire."""
    return envelope(Sent(kind, TO, json.dumps(body or {}).encode(), attempt, seq, extra))


def envelope(reply: Sent, routing_key: str | None = None) -> Envelope:
    """Return a reply as it is delivered."""
    properties = Properties(
        headers=reply.headers,
        content_type=JSON,
        correlation_id=reply.address.correlation_id,
        message_id=reply.message_id,
        type=reply.type,
    )
    return Envelope("", reply.body, routing_key or reply.routing_key, properties)


def told(
    kind: ReplyKind,
    attempt: int,
    seq: int,
    body: object = None,
    *,
    job: str = "wamid.1",
    headers: Mapping[str, Any] | None = None,
) -> Reply:
    """Return a reply as a subscriber gets it."""
    address = replace(TO, job_id=job)
    made = Sent(kind, address, json.dumps(body or {}).encode(), attempt, seq, headers or {})
    reply = read_reply(envelope(made))
    assert reply is not None
    return reply


def update(attempt: int, seq: int, text: str = "", **more: Any) -> Reply:
    """Return an update."""
    return told(ReplyKind.UPDATE, attempt, seq, {"data": {"text": text}}, **more)


def final(attempt: int, seq: int, text: str = "", **more: Any) -> Reply:
    """Return a final."""
    return told(ReplyKind.FINAL, attempt, seq, {"id": "m1", "text": text}, **more)


def failed(attempt: int, seq: int, reason: str = "bad_request", **more: Any) -> Reply:
    """Return a failure."""
    body = {"status_code": 400, "description": "Bad Request", "message": "moderated"}
    return told(ReplyKind.FAILED, attempt, seq, body, headers={"aui-reason": reason}, **more)


def retrying(attempt: int, seq: int, **more: Any) -> Reply:
    """Return the news that another attempt follows."""
    headers = {"aui-reason": "internal_error", "aui-retry-in": 0.5}
    return told(ReplyKind.RETRYING, attempt, seq, {"message": "1011"}, headers=headers, **more)
