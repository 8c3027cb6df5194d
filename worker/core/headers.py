"""The AMQP headers of the contract, by the names other programs know them by."""

from collections.abc import Mapping
from typing import Any

CHANNEL = "aui-channel"
UPDATES = "aui-updates"
CONVERSATION = "aui-conversation"
ATTEMPT_BASE = "aui-attempt-base"
MAYBE_SENT = "aui-maybe-sent"
EXPIRES_AT = "aui-expires-at"
REPLAYS = "aui-replays"
"""How often the job was sent again from the dead letters; travels with it."""
EDITED_AT = "aui-edited-at"
EDITED_FROM = "aui-edited-from"
"""The identity of the dead letter that an edited one replaces."""
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

JOB_ID = "aui-job-id"
TASK_ID = "aui-task-id"
USER_ID = "aui-user-id"
ATTEMPT = "aui-attempt"
SEQ = "aui-seq"
REASON = "aui-reason"
RETRY_IN = "aui-retry-in"
RECOVERED = "aui-recovered"
SCHEMA = "aui-schema"

DEAD_REASON = "aui-dead-reason"
DEAD_STATUS_CODE = "aui-dead-status-code"
DEAD_CLOSE_CODE = "aui-dead-close-code"
DEAD_ERROR = "aui-dead-error"
DEAD_ATTEMPTS = "aui-dead-attempts"
DEAD_TEXT = "aui-dead-text"
DEAD_AT = "aui-dead-at"
DEAD_WORKER = "aui-dead-worker"

UNCLAIMED_REASON = "aui-unclaimed-reason"
UNCLAIMED_KEY = "aui-unclaimed-key"

ORIGINAL = "aui-orig-"
"""Prefix under which a republished job keeps what it must not carry as it was."""

DELIVERY_COUNT = "x-delivery-count"
DEATHS = "x-death"

UNREADABLE = "aui-unreadable-headers"
"""Stands in for all headers of a message whose table could not be decoded."""

_SCALAR_BYTES = 25
"""The longest number or time in a frame: 64 bits written in words, with their length and type."""


def size_of(headers: Mapping[str, Any]) -> int:
    """Return how many bytes headers take up in a frame, at the most, however deep they are."""
    size, rest = 0, list[Any]([dict(headers)])
    while rest:
        match rest.pop():
            case str() as text:
                size += 5 + len(text.encode("utf-8", "replace"))
            case bytes() | bytearray() as raw:
                size += 5 + len(raw)
            case dict() as table:
                size += 5 + sum(1 + len(name.encode("utf-8", "replace")) for name in table)
                rest += table.values()
            case list() | tuple() as items:
                size += 5
                rest += items
            case _:
                size += _SCALAR_BYTES
    return size
