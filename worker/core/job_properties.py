"""The AMQP properties and headers of a job, read strictly.

What breaks the contract raises :class:`~worker.core.errors.InvalidJob`, which names the field. Only
a malformed trace context is dropped: it is never a reason to fail.
"""

import re
from dataclasses import dataclass

from worker.core import headers as h
from worker.core.body import TASK_BYTES, WORD, is_word, shown
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.pace import Pace, parse_pace

DEFAULT_CHANNEL = "default"
MAX_JOB_ID_BYTES = 128
MAX_HEADER_BYTES = 32 * 1024
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
MAX_TRACESTATE = 512
"""W3C Trace Context, sections 3.2.2 and 3.3.1.5."""
_COPIED = (h.ATTEMPT_BASE, h.MAYBE_SENT, h.EXPIRES_AT, h.REPLAYS, h.EDITED_AT, h.EDITED_FROM)
"""The headers that a copy gets from us."""


@dataclass(frozen=True, slots=True)
class JobRules:
    """The limits of the contract that an operator sets."""

    max_bytes: int = 256 * 1024
    reply_to: re.Pattern[str] = re.compile(r"^(amq\.|sub\.)")


def check_frame(envelope: Envelope, rules: JobRules) -> None:
    """Refuse what is larger than allowed, or was not to be read.

    Raises:
        InvalidJob: naming ``body`` or ``headers``.
    """
    size, limit = len(envelope.body), max_bytes(envelope, rules)
    if size > limit:
        raise InvalidJob("body", f"{size} bytes are above the limit of {limit}")
    headers = envelope.properties.headers
    if h.UNREADABLE in headers:
        raise InvalidJob("headers", "cannot be decoded: names must be UTF-8, nesting shallow")
    size = h.size_of({name: value for name, value in headers.items() if _of_producer(name)})
    if size > MAX_HEADER_BYTES:
        raise InvalidJob("headers", f"{size} bytes are above the limit of {MAX_HEADER_BYTES}")


def max_bytes(envelope: Envelope, rules: JobRules) -> int:
    """Return the limit of a body: a copy may have grown by the task id put into it."""
    copied = h.ATTEMPT_BASE in envelope.properties.headers
    return rules.max_bytes + (TASK_BYTES if copied else 0)


def _of_producer(name: str) -> bool:
    """Tell whether the producer wrote a header: a copy must not be refused for what was added."""
    added = name.startswith(("x-", h.ORIGINAL)) or name in _COPIED
    return not added


def check_job_id(properties: Properties) -> None:
    """Refuse a job id that is too long."""
    size = len((properties.message_id or "").encode("utf-8", "surrogatepass"))
    if size > MAX_JOB_ID_BYTES:
        raise InvalidJob("message_id", f"{size} bytes are above the limit of {MAX_JOB_ID_BYTES}")


def check_reply_to(properties: Properties, rules: JobRules) -> None:
    """Refuse a ``reply_to`` that producers may not use."""
    if properties.reply_to and not rules.reply_to.search(properties.reply_to):
        pattern = rules.reply_to.pattern
        raise InvalidJob("reply_to", f"must match {pattern}, not {shown(properties.reply_to)}")


def channel_of(properties: Properties) -> str:
    """Return the channel."""
    channel = properties.headers.get(h.CHANNEL, DEFAULT_CHANNEL)
    if not is_word(channel):
        raise InvalidJob(h.CHANNEL, f"must match {WORD.pattern}, not {shown(channel)}")
    return str(channel)


def pace_of(properties: Properties) -> Pace:
    """Return how often updates are wanted."""
    wanted = properties.headers.get(h.UPDATES, "every")
    pace = parse_pace(wanted)
    if pace is None:
        raise InvalidJob(h.UPDATES, f"must be 'every', 'off' or like '250ms', not {shown(wanted)}")
    return pace


def conversation_of(properties: Properties) -> str:
    """Return which task of a user is meant: ``latest`` or ``new``."""
    wanted = properties.headers.get(h.CONVERSATION, "latest")
    if wanted not in ("latest", "new"):
        raise InvalidJob(h.CONVERSATION, f"must be 'latest' or 'new', not {shown(wanted)}")
    return str(wanted)


def is_copy(envelope: Envelope) -> bool:
    """Tell whether it is marked as a copy of a job that may have been sent."""
    marked = envelope.properties.headers.get(h.MAYBE_SENT, False)
    if not isinstance(marked, bool):
        raise InvalidJob(h.MAYBE_SENT, f"must be true or false, not {shown(marked)}")
    return marked


def trace_of(properties: Properties) -> dict[str, str]:
    """Return the W3C trace context; a malformed one is dropped, never a reason to fail."""
    parent, state = (properties.headers.get(name) for name in (h.TRACEPARENT, h.TRACESTATE))
    if not isinstance(parent, str) or TRACEPARENT.fullmatch(parent) is None:
        return {}
    if not isinstance(state, str) or len(state) > MAX_TRACESTATE:
        return {h.TRACEPARENT: parent}
    return {h.TRACEPARENT: parent, h.TRACESTATE: state}
