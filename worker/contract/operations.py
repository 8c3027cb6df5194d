"""What the worker does with messages, in AsyncAPI's words: it receives jobs and sends replies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from worker.contract.channels import BINDING, ON_HUB, TERMINAL
from worker.contract.replies import PERSISTENT, TRANSIENT
from worker.contract.shapes import DEAD_LETTER, JOBS, REPLIES, Shape
from worker.core.operation import Operation
from worker.core.reply import ReplyKind

_ASKED: Mapping[str, tuple[str, Sequence[ReplyKind]]] = {
    Operation.SEND: ("sendMessage", [shape.kind for shape in ON_HUB if shape.kind]),
    Operation.POST: (
        "postMessage",
        [ReplyKind.FINAL, ReplyKind.FAILED, ReplyKind.RETRYING, ReplyKind.CREATED],
    ),
    Operation.CREATE: ("createTask", [ReplyKind.CREATED, ReplyKind.FAILED]),
    Operation.LIST: ("listTasks", [ReplyKind.LISTED, ReplyKind.FAILED]),
    Operation.MESSAGES: ("readTask", [ReplyKind.MESSAGES, ReplyKind.FAILED]),
}
"""What each job is called, and what comes back on its reply_to."""


def operations() -> dict[str, Any]:
    """Return all operations, by name."""
    return {
        **{_ASKED[shape.word][0]: _received(shape) for shape in JOBS},
        **{f"publish{shape.kind.title()}": _published(shape) for shape in ON_HUB if shape.kind},
        "routeToTask": _sent("taskReplies", "Route a reply on to its task's exchange.", ON_HUB),
        "keepDeadLetter": _sent("deadLetters", DEAD_LETTER.says, [DEAD_LETTER], mandatory=True),
        "keepUnclaimed": _sent(
            "unclaimed",
            "Keep a final or a failure that nobody could take.",
            [shape for shape in REPLIES if shape.kind in TERMINAL],
            mandatory=True,
        ),
    }


def _received(shape: Shape) -> dict[str, Any]:
    """Return the operation of a job: publish it, and the worker receives it."""
    answers = [reply for reply in REPLIES if reply.kind in _ASKED[shape.word][1]]
    return {
        "action": "receive",
        "channel": {"$ref": "#/channels/jobs"},
        "summary": shape.says,
        "messages": _of("jobs", [shape]),
        "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING}},
        "reply": {
            "address": {
                "location": "$message.header#/reply_to",
                "description": "The AMQP property reply_to, not a header.",
            },
            "channel": {"$ref": "#/channels/replyTo"},
            "messages": _of("replyTo", answers),
        },
    }


def _published(shape: Shape) -> dict[str, Any]:
    mode = TRANSIENT if shape.kind is ReplyKind.UPDATE else PERSISTENT
    return _sent(
        "replies", shape.says, [shape], deliveryMode=mode, mandatory=shape.kind in TERMINAL
    )


def _sent(channel: str, says: str, shapes: Iterable[Shape], **binding: Any) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": says,
        "messages": _of(channel, shapes),
        "bindings": {"amqp": {**binding, "bindingVersion": BINDING}},
    }


def _of(channel: str, shapes: Iterable[Shape]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{shape.identifier}"} for shape in shapes]
