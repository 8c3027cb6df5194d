"""Jobs: the contract of what producers publish, as a codec.

A job's body is AUI's message request (``{"task_id", "text", "context"?}``), or the same with a
``user_id`` in place of the task; everything else is AMQP properties and headers. What is not a
job raises :class:`~worker.core.errors.InvalidJob`, which names the field.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worker.core import headers as h
from worker.core.body import (
    MAX_USER_ID_BYTES,
    TASK_BYTES,
    WORD,
    cut,
    is_word,
    parse_body,
    request_of,
    shown,
    task_id_of,
    text_of,
    user_id_of,
)
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.pace import EVERY, Pace, parse_pace

MESSAGE_SEND = "message.send"
DEFAULT_CHANNEL = "default"
MAX_JOB_ID_BYTES = 128
MAX_HEADER_BYTES = 32 * 1024
ATTEMPTS_PER_DELIVERY = 64
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
MAX_TRACESTATE = 512
"""W3C Trace Context, sections 3.2.2 and 3.3.1.5."""
MAX_ATTEMPT_BASE = 2**31
_COPIED = (h.ATTEMPT_BASE, h.MAYBE_SENT, h.EXPIRES_AT)
"""The headers that a copy gets from us."""


@dataclass(frozen=True, slots=True)
class JobRules:
    """The limits of the contract that an operator sets."""

    max_bytes: int = 256 * 1024
    reply_to: re.Pattern[str] = re.compile(r"^(amq\.|sub\.)")


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


def decode_job(envelope: Envelope, rules: JobRules, new_id: Callable[[], str]) -> Job:
    """Read a job out of a message.

    Args:
        envelope: the message.
        rules: the operator's limits.
        new_id: makes the id of a job that came without one, which then never matches another.

    Raises:
        InvalidJob: it breaks the contract; the error names the first field that does.
    """
    _check_frame(envelope, rules)
    properties = envelope.properties
    kind = properties.type or MESSAGE_SEND
    if kind != MESSAGE_SEND:
        raise InvalidJob("type", f"must be {MESSAGE_SEND!r}, not {shown(kind)}")
    _check_job_id(properties)
    _check_reply_to(properties, rules)
    body = parse_body(envelope.body)
    copied = _copied(envelope)
    job_id = properties.message_id or new_id()
    address = Address(
        network=envelope.network,
        job_id=job_id,
        correlation_id=properties.correlation_id or job_id,
        channel=_channel(properties),
        task_id=task_id_of(body),
        user_id=user_id_of(body),
        reply_to=properties.reply_to or None,
        trace=_trace(properties),
    )
    return Job(
        address=address,
        text=text_of(body),
        request=request_of(envelope.body, body),
        pace=_pace(properties),
        new_conversation=_conversation(properties) == "new",
        attempt_base=attempt_base(envelope),
        maybe_sent=copied or envelope.delivery_count > 0,
        copied=copied,
        published_at=properties.timestamp.timestamp() if properties.timestamp else None,
    )


def address_of(envelope: Envelope, rules: JobRules, new_id: Callable[[], str]) -> Address:
    """Make out as much of an invalid job's address as can be trusted; never raises."""
    properties = envelope.properties
    channel = properties.headers.get(h.CHANNEL)
    body: object = None
    if len(envelope.body) <= _max_bytes(envelope, rules):
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
        trace=_trace(properties),
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


def _check_frame(envelope: Envelope, rules: JobRules) -> None:
    size, limit = len(envelope.body), _max_bytes(envelope, rules)
    if size > limit:
        raise InvalidJob("body", f"{size} bytes are above the limit of {limit}")
    headers = envelope.properties.headers
    if h.UNREADABLE in headers:
        raise InvalidJob("headers", "cannot be decoded: names must be UTF-8, nesting shallow")
    size = h.size_of({name: value for name, value in headers.items() if _of_producer(name)})
    if size > MAX_HEADER_BYTES:
        raise InvalidJob("headers", f"{size} bytes are above the limit of {MAX_HEADER_BYTES}")


def _max_bytes(envelope: Envelope, rules: JobRules) -> int:
    """Return the limit of a body: a copy may have grown by the task id put into it."""
    copied = h.ATTEMPT_BASE in envelope.properties.headers
    return rules.max_bytes + (TASK_BYTES if copied else 0)


def _of_producer(name: str) -> bool:
    """Tell whether the producer wrote a header: a copy must not be refused for what was added."""
    added = name.startswith(("x-", h.ORIGINAL)) or name in _COPIED
    return not added


def _check_job_id(properties: Properties) -> None:
    size = len((properties.message_id or "").encode("utf-8", "surrogatepass"))
    if size > MAX_JOB_ID_BYTES:
        raise InvalidJob("message_id", f"{size} bytes are above the limit of {MAX_JOB_ID_BYTES}")


def _check_reply_to(properties: Properties, rules: JobRules) -> None:
    if properties.reply_to and not rules.reply_to.search(properties.reply_to):
        pattern = rules.reply_to.pattern
        raise InvalidJob("reply_to", f"must match {pattern}, not {shown(properties.reply_to)}")


def _channel(properties: Properties) -> str:
    channel = properties.headers.get(h.CHANNEL, DEFAULT_CHANNEL)
    if not is_word(channel):
        raise InvalidJob(h.CHANNEL, f"must match {WORD.pattern}, not {shown(channel)}")
    return str(channel)


def _pace(properties: Properties) -> Pace:
    wanted = properties.headers.get(h.UPDATES, "every")
    pace = parse_pace(wanted)
    if pace is None:
        raise InvalidJob(h.UPDATES, f"must be 'every', 'off' or like '250ms', not {shown(wanted)}")
    return pace


def _conversation(properties: Properties) -> str:
    wanted = properties.headers.get(h.CONVERSATION, "latest")
    if wanted not in ("latest", "new"):
        raise InvalidJob(h.CONVERSATION, f"must be 'latest' or 'new', not {shown(wanted)}")
    return str(wanted)


def _copied(envelope: Envelope) -> bool:
    marked = envelope.properties.headers.get(h.MAYBE_SENT, False)
    if not isinstance(marked, bool):
        raise InvalidJob(h.MAYBE_SENT, f"must be true or false, not {shown(marked)}")
    return marked


def _trace(properties: Properties) -> dict[str, str]:
    """Return the W3C trace context; a malformed one is dropped, never a reason to fail."""
    parent, state = (properties.headers.get(name) for name in (h.TRACEPARENT, h.TRACESTATE))
    if not isinstance(parent, str) or TRACEPARENT.fullmatch(parent) is None:
        return {}
    if not isinstance(state, str) or len(state) > MAX_TRACESTATE:
        return {h.TRACEPARENT: parent}
    return {h.TRACEPARENT: parent, h.TRACESTATE: state}
