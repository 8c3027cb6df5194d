"""An example or two of every message, as they look on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.contract.replies import PERSISTENT, TRANSIENT
from worker.contract.shapes import DEAD_LETTER, Group, Shape
from worker.core import headers as h
from worker.core.operation import Operation
from worker.core.reply import SCHEMA, TYPES, ReplyKind
from worker.core.update import UPDATED

TASK, USER, JOB = "68e78d0dc5a4b19a030d03d6", "+49 170 1234567", "wamid.HBgNNDkxNzAxMjM0NTY3"
QUESTION = "a built-in microwave with at least 20 liters, please"
ANSWER = "I found several built-in microwaves with 20+ liters capacity."
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
AT = 1773066121
"""2026-03-09T14:22:01Z."""
REPLY_TO = "sub.shop.answers"

_FAILURE = {
    "status_code": 400,
    "description": "Bad Request",
    "message": "LLM service failed to process request due to content moderation policy violation",
    "extra_data": {"moderation_result": "flagged", "policy_violation": "inappropriate_content"},
}
_LOST = {
    "status_code": None,
    "description": "internal error",
    "message": "the server closed with 1011",
    "extra_data": {"reason": "internal_error"},
}
_AGENT = {"id": "agent_abc123", "type": "agent", "email": "agent@aui.io"}
_USER = {"id": USER, "type": "user", "email": None}
_TOLD: Mapping[str, Any] = {
    "id": "507f1f77bcf86cd799439011",
    "created_at": "2026-03-09T14:20:00.000Z",
    "text": QUESTION,
    "sender": _USER,
    "receiver": _AGENT,
    "options": [],
    "variants_options": [],
    "followup_suggestions": [],
}
_ANSWERED: Mapping[str, Any] = {
    "id": "507f1f77bcf86cd799439012",
    "created_at": "2026-03-09T14:22:01.000Z",
    "text": ANSWER,
    "sender": _AGENT,
    "receiver": _USER,
    "options": [
        {
            "is_recommended": True,
            "widget_parameters": [
                {"title": "Product name", "value": "BLACK+DECKER EM044KB19", "type": "string"},
                {"title": "Price", "value": "$342.99", "type": "numeric"},
                {"title": "Rating", "value": 4.4, "type": "numeric"},
            ],
        }
    ],
    "variants_options": [],
    "followup_suggestions": ["What is the price range?", "Which one has the best energy rating?"],
}
_TASK: Mapping[str, Any] = {
    "id": TASK,
    "user_id": USER,
    "title": "New Conversation",
    "welcome_message": "Hi! What are you looking for today?",
    "followup_suggestions": ["Show me your best sellers"],
}


@dataclass(frozen=True, slots=True)
class Example:
    """One message.

    Attributes:
        says: what is to be seen in it.
        body: its body, parsed.
        headers: its headers.
        properties: its other AMQP properties; times in seconds since 1970.
    """

    says: str
    body: Any
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)


def examples_of(shape: Shape) -> Sequence[Example]:
    """Return the examples of a message."""
    return EXAMPLES[shape.name]


def _job(operation: Operation, says: str, body: Any, **headers: Any) -> Example:
    answered = {} if operation is Operation.SEND else {"reply_to": REPLY_TO}
    properties = {
        "type": str(operation),
        "message_id": JOB,
        "delivery_mode": PERSISTENT,
        "timestamp": AT - 2,
        "content_type": "application/json",
        **answered,
    }
    return Example(says, body, {"aui-channel": "whatsapp", **headers}, properties)


def _reply(
    kind: ReplyKind, says: str, body: Any, attempt: int = 1, seq: int = 1, **headers: Any
) -> Example:
    common = {h.JOB_ID: JOB, h.TASK_ID: TASK, h.ATTEMPT: attempt, h.SEQ: seq, h.SCHEMA: SCHEMA}
    named = {f"aui-{name.replace('_', '-')}": value for name, value in headers.items()}
    properties = {
        "type": TYPES[kind],
        "message_id": f"{JOB}:{attempt}:{seq}",
        "correlation_id": JOB,
        "delivery_mode": TRANSIENT if kind is ReplyKind.UPDATE else PERSISTENT,
        "timestamp": AT,
        "content_type": "application/json",
    }
    return Example(says, body, common | named, properties)


_BY_TASK = {"task_id": TASK, "text": QUESTION}
_JOBS = {
    Operation.SEND: [
        _job(Operation.SEND, "to a task", _BY_TASK, traceparent=TRACE),
        _job(
            Operation.SEND,
            "to a user's latest task, with what AUI may know of the customer",
            {
                "user_id": USER,
                "text": QUESTION,
                "context": {
                    "url": "https://example.com/products",
                    "lead_details": {"customer_type": "residential"},
                },
            },
            **{h.UPDATES: "off", h.CONVERSATION: "latest"},
        ),
    ],
    Operation.POST: [_job(Operation.POST, "to a task", _BY_TASK)],
    Operation.CREATE: [_job(Operation.CREATE, "for a user", {"user_id": USER})],
    Operation.LIST: [
        _job(Operation.LIST, "the second page", {"user_id": USER, "page": 2, "size": 50})
    ],
    Operation.MESSAGES: [_job(Operation.MESSAGES, "of a task", {"task_id": TASK})],
}
_REPLIES = {
    ReplyKind.UPDATE: [
        _reply(ReplyKind.UPDATE, "so far", {"event": UPDATED, "data": {"text": "I found several"}})
    ],
    ReplyKind.FINAL: [
        _reply(ReplyKind.FINAL, "the answer", _ANSWERED, seq=14),
        _reply(
            ReplyKind.FINAL,
            "an answer found in the history, after a crash, for a job by user",
            _ANSWERED,
            attempt=65,
            recovered=True,
            user_id=USER,
        ),
    ],
    ReplyKind.FAILED: [
        _reply(ReplyKind.FAILED, "refused by AUI", _FAILURE, reason="bad_request"),
        _reply(ReplyKind.FAILED, "given up", _LOST, attempt=5, reason="internal_error"),
    ],
    ReplyKind.RETRYING: [
        _reply(
            ReplyKind.RETRYING, "again soon", _LOST, seq=4, reason="internal_error", retry_in=0.5
        )
    ],
    ReplyKind.CREATED: [_reply(ReplyKind.CREATED, "a new task", _TASK, user_id=USER)],
    ReplyKind.LISTED: [
        _reply(
            ReplyKind.LISTED,
            "the only page",
            {"tasks": [_TASK], "total": 1, "page": 1, "size": 10},
            user_id=USER,
        )
    ],
    ReplyKind.MESSAGES: [_reply(ReplyKind.MESSAGES, "question and answer", [_TOLD, _ANSWERED])],
}
_LETTER = Example(
    "refused by AUI",
    _BY_TASK,
    {
        "aui-channel": "whatsapp",
        h.DEAD_REASON: "bad_request",
        h.DEAD_STATUS_CODE: 400,
        h.DEAD_CLOSE_CODE: 1008,
        h.DEAD_ERROR: '{"status_code": 400, "description": "Bad Request", "message": "flagged"}',
        h.DEAD_ATTEMPTS: '[{"at": "2026-03-09T14:22:01.000+00:00", "attempt": 1, '
        '"phase": "waiting", "what": "bad_request", "detail": "flagged"}]',
        h.DEAD_TEXT: "",
        h.DEAD_AT: "2026-03-09T14:22:01.000+00:00",
        h.DEAD_WORKER: "worker-7f9c",
    },
    {"type": str(Operation.SEND), "message_id": JOB, "delivery_mode": PERSISTENT},
)
EXAMPLES: Mapping[str, Sequence[Example]] = {
    **{f"{Group.JOB}/{operation}": told for operation, told in _JOBS.items()},
    **{f"{Group.REPLY}/{TYPES[kind]}": told for kind, told in _REPLIES.items()},
    DEAD_LETTER.name: [_LETTER],
}
