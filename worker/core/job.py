"""Jobs: the contract of what producers publish, as a codec.

A job's body is AUI's message request (``{"task_id", "text", "context"?}``), or the same with a
``user_id`` in place of the task; everything else is AMQP properties and headers. What is not a
job raises :class:`~worker.core.errors.InvalidJob`, which names the field.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.core import headers as h
from worker.core.body import (
    MAX_USER_ID_BYTES,
    count_of,
    cut,
    is_word,
    parse_body,
    request_of,
    shown,
    task_id_of,
    text_of,
    user_id_of,
)
from worker.core.conversation import PAGE_SIZE
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.job_properties import (
    DEFAULT_CHANNEL,
    MAX_JOB_ID_BYTES,
    JobRules,
    channel_of,
    check_frame,
    check_job_id,
    check_reply_to,
    conversation_of,
    is_copy,
    max_bytes,
    pace_of,
    trace_of,
)
from worker.core.operation import Operation, operation_of
from worker.core.pace import EVERY, Pace

ATTEMPTS_PER_DELIVERY = 64
MAX_ATTEMPT_BASE = 2**31
MAX_PAGE = 2**31
MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Who replies about a job are for: key words, echoed ids, and the queue they also go to."""

    network: str
    job_id: str
    correlation_id: str
    channel: str = DEFAULT_CHANNEL
    task_id: str | None = None
    user_id: str | None = None
    reply_to: str | None = None
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One user message to put to the agent.

    Attributes:
        address: who the replies are for; its ``task_id`` is None for a job by user.
        text: the user's message.
        request: the body to send to AUI.
        pace: how often updates are wanted.
        new_conversation: a job by user that wants a task of its own.
        attempt_base: attempts made under earlier deliveries and copies of this job.
        maybe_sent: the message may have reached AUI before this delivery.
        copied: it may have by way of another copy, which later jobs may have followed.
        published_at: its timestamp, in seconds since 1970, if its producer set one.
        streamed: it goes over the WebSocket; else over REST, whole and without updates.
    """

    address: Address
    text: str = field(repr=False)
    request: bytes = field(repr=False)
    pace: Pace = EVERY
    new_conversation: bool = False
    attempt_base: int = 0
    maybe_sent: bool = False
    copied: bool = False
    published_at: float | None = None
    streamed: bool = True

    @property
    def anywhere(self) -> bool:
        """It need not be in its slot's partition; a job needs the order there."""
        return False


@dataclass(frozen=True, slots=True)
class Request:
    """One question about tasks, answered on its ``reply_to`` alone.

    Attributes:
        operation: to create a task, to list a user's, or to read one.
        address: who asks; with the task or the user it is about.
        page: which page of the list, from 1.
        size: tasks on a page.
        attempt_base: attempts made under earlier deliveries and copies of it.
        repeated: an earlier delivery may have done it.
        published_at: its timestamp, in seconds since 1970, if its producer set one.
    """

    operation: Operation
    address: Address
    page: int = 1
    size: int = PAGE_SIZE
    attempt_base: int = 0
    repeated: bool = False
    published_at: float | None = None

    @property
    def anywhere(self) -> bool:
        """It need not be in its slot's partition; a new task is to be known there."""
        return self.operation.is_read


def decode(envelope: Envelope, rules: JobRules, new_id: Callable[[], str]) -> Job | Request:
    """Read a job, or a request about tasks, out of a message.

    Args:
        envelope: the message.
        rules: the operator's limits.
        new_id: makes the id of a job that came without one, which then never matches another.

    Raises:
        InvalidJob: it breaks the contract; the error names the first field that does.
    """
    check_frame(envelope, rules)
    operation = operation_of(envelope.properties)
    check_job_id(envelope.properties)
    check_reply_to(envelope.properties, rules)
    body = parse_body(envelope.body)
    decoded = _job if operation.is_turn else _request
    return decoded(operation, envelope, body, new_id)


def _job(
    operation: Operation, envelope: Envelope, body: dict[str, Any], new_id: Callable[[], str]
) -> Job:
    copied = is_copy(envelope)
    properties = envelope.properties
    return Job(
        address=_address(envelope, new_id, task_id_of(body), user_id_of(body)),
        text=text_of(body),
        request=request_of(envelope.body, body),
        pace=pace_of(properties),
        new_conversation=conversation_of(properties) == "new",
        attempt_base=attempt_base(envelope),
        maybe_sent=copied or envelope.delivery_count > 0,
        copied=copied,
        published_at=_published_at(properties),
        streamed=operation is Operation.SEND,
    )


def _request(
    operation: Operation, envelope: Envelope, body: dict[str, Any], new_id: Callable[[], str]
) -> Request:
    properties = envelope.properties
    if not properties.reply_to:
        raise InvalidJob("reply_to", f"is missing: there is nobody to answer {operation} to")
    by_task = operation is Operation.MESSAGES
    task_id = task_id_of(body) if by_task else None
    user_id = None if by_task else user_id_of(body)
    if task_id is None and user_id is None:
        raise InvalidJob("task_id" if by_task else "user_id", "is missing")
    asked = body if operation is Operation.LIST else {}
    return Request(
        operation=operation,
        address=_address(envelope, new_id, task_id, user_id),
        page=count_of(asked, "page", MAX_PAGE) or 1,
        size=count_of(asked, "size", MAX_PAGE_SIZE) or PAGE_SIZE,
        attempt_base=attempt_base(envelope),
        repeated=is_copy(envelope) or envelope.delivery_count > 0,
        published_at=_published_at(properties),
    )


def _address(
    envelope: Envelope, new_id: Callable[[], str], task_id: str | None, user_id: str | None
) -> Address:
    properties = envelope.properties
    job_id = properties.message_id or new_id()
    return Address(
        network=envelope.network,
        job_id=job_id,
        correlation_id=properties.correlation_id or job_id,
        channel=channel_of(properties),
        task_id=task_id,
        user_id=user_id,
        reply_to=properties.reply_to or None,
        trace=trace_of(properties),
    )


def _published_at(properties: Properties) -> float | None:
    return properties.timestamp.timestamp() if properties.timestamp else None


def address_of(envelope: Envelope, rules: JobRules, new_id: Callable[[], str]) -> Address:
    """Make out as much of an invalid job's address as can be trusted; never raises."""
    properties = envelope.properties
    channel = properties.headers.get(h.CHANNEL)
    body: object = None
    if len(envelope.body) <= max_bytes(envelope, rules):
        try:
            body = json.loads(envelope.body)
        except (ValueError, RecursionError):
            body = None
    fields = body if isinstance(body, dict) else {}
    task_id, user_id = fields.get("task_id"), fields.get("user_id")
    job_id = cut(properties.message_id or "", MAX_JOB_ID_BYTES) or new_id()
    reply_to = properties.reply_to
    return Address(
        network=envelope.network,
        job_id=job_id,
        correlation_id=properties.correlation_id or job_id,
        channel=str(channel) if is_word(channel) else DEFAULT_CHANNEL,
        task_id=task_id if is_word(task_id) else None,
        user_id=cut(user_id, MAX_USER_ID_BYTES) if isinstance(user_id, str) else None,
        reply_to=reply_to if reply_to and rules.reply_to.search(reply_to) else None,
        trace=trace_of(properties),
    )


def attempt_base(envelope: Envelope) -> int:
    """Count the attempts that came before this delivery, at the most.

    An attempt's number never restarts for a job: each delivery has room for
    ``ATTEMPTS_PER_DELIVERY``, on top of what a forwarded or replayed copy brings with it.

    Raises:
        InvalidJob: the header is no count.
    """
    base = envelope.properties.headers.get(h.ATTEMPT_BASE, 0)
    if not isinstance(base, int) or isinstance(base, bool) or not 0 <= base <= MAX_ATTEMPT_BASE:
        raise InvalidJob(h.ATTEMPT_BASE, f"must be a count, not {shown(base)}")
    return base + ATTEMPTS_PER_DELIVERY * envelope.delivery_count
