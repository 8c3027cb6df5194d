"""What the tests of the core are made of: messages, frames, and JSON out of the blue."""

import json
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from worker.core import job
from worker.core.envelope import Envelope, Properties
from worker.core.job import Address, Job, Request, address_of
from worker.core.job_properties import JobRules

RULES = JobRules()
MADE = "made-by-the-worker"
"""The id that the tests' ``new_id`` makes."""

MANY = settings(max_examples=70, deadline=None, derandomize=False)
SOME = settings(max_examples=30, deadline=None, derandomize=False)

DOCS_UPDATE = b'{"event":"thread-message-text-content-updated","data":{"text":"I found several"}}'
SDK_UPDATE = json.dumps(
    {
        "channel": {
            "type": "WEBSOCKET",
            "channel_name": "c-1",
            "event_name": "thread-message-text-content-updated",
        },
        "scope": {
            "type": "LLM_ACTIVATION_EXECUTION",
            "data": {"status": "PENDING"},
            "context": {"message_id": "m", "task_id": "t1", "interaction_id": "i", "pillar": "p"},
        },
        "data": {"text": "I found several"},
        "timestamp": "2026-03-09T14:22:00.000Z",
    }
).encode()
FINAL = json.dumps(
    {
        "id": "507f1f77bcf86cd799439011",
        "created_at": "2026-03-09T14:22:01.000Z",
        "text": "I found several built-in microwaves.",
        "sender": {"id": "agent_abc123", "type": "agent", "email": "agent@aui.io"},
        "receiver": {"id": "user_xyz789", "type": "user", "email": "customer@example.com"},
        "options": [],
        "variants_options": [],
        "followup_suggestions": ["What is the price range?"],
    },
    indent=2,
).encode()

printable = st.characters(codec="utf-8", exclude_categories=["Cs"])
texts = st.text(printable)
words = st.from_regex(re.compile(r"[A-Za-z0-9_-]{1,64}"), fullmatch=True)
spoken = texts.filter(str.strip)
"""A message as a user may send it: not blank."""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=6,
)


def frame(**fields: object) -> bytes:
    """Write a frame, or any other JSON object."""
    return json.dumps(fields).encode()


def error_frame(status: object, **fields: object) -> bytes:
    """Write an error frame with a status, as AUI's pages show it."""
    shape = {"description": "Not good", "message": "it is not", "extra_data": {"a": 1}}
    return frame(status_code=status, **{**shape, **fields})


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Write JSON that is so deep."""
    return opening * depth + b"1" + closing * depth


def envelope(
    body: bytes | Mapping[str, object] = b'{"task_id":"t1","text":"hi"}',
    headers: Mapping[str, Any] | None = None,
    *,
    redelivered: bool = False,
    **properties: Any,
) -> Envelope:
    """Make a message of the ``default`` network; by default a valid job without an id."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Envelope(
        network="default",
        body=raw,
        properties=Properties(headers=headers or {}, **properties),
        redelivered=redelivered,
    )


def decode(message: Envelope, rules: JobRules = RULES) -> Job:
    """Decode a job; one without an id is called :data:`MADE`."""
    decoded = job.decode(message, rules, lambda: MADE)
    assert isinstance(decoded, Job)
    return decoded


def asked(message: Envelope, rules: JobRules = RULES) -> Request:
    """Decode a message as a request about tasks."""
    decoded = job.decode(message, rules, lambda: MADE)
    assert isinstance(decoded, Request)
    return decoded


def addressed(message: Envelope, rules: JobRules = RULES) -> Address:
    """Make out the address of what may be no job."""
    return address_of(message, rules, lambda: MADE)
