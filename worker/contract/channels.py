"""Where messages go: exchanges, queues and routing keys, in AsyncAPI's words."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.contract.fields import REASONS
from worker.contract.shapes import DEAD_LETTER, JOBS, REPLIES, Shape
from worker.core.body import WORD
from worker.core.reply import NO_TASK, ReplyKind
from worker.core.topology import (
    DEAD,
    DEAD_TTL_MS,
    DEFAULT_NETWORK,
    HUB,
    UNCLAIMED,
    UNCLAIMED_TTL_MS,
    ExchangeSpec,
    jobs_exchange,
    task_exchange,
    topology,
)

BINDING = "0.3.0"
ON_HUB = tuple(
    shape for shape in REPLIES if shape.kind not in (ReplyKind.LISTED, ReplyKind.MESSAGES)
)
"""What subscribers hear; the others are only for who asked."""
TERMINAL = (ReplyKind.FINAL, ReplyKind.FAILED)
_HOUR_MS = 3600 * 1000
_KEY = "{network}.{channel}.{task_id}"
_WORD = f"Matches {WORD.pattern}."
_SLOT = (
    'The slot of the task, or of the user in a job by user: "%02x" % (crc32(id) & 0xff), of the '
    "id in UTF-8. The id itself will do too: the worker then forwards the job to its slot."
)
_OTHER_NETWORKS = (
    f"Jobs of the network {DEFAULT_NETWORK}. Those of another go to {jobs_exchange('<network>')}; "
    "the right to write to an exchange is the right to use that network's key. Publish mandatory, "
    "confirmed and persistent."
)


def channels() -> dict[str, Any]:
    """Return all channels."""
    exchanges = {spec.name: spec for spec in topology([DEFAULT_NETWORK], 1).exchanges}
    jobs = jobs_exchange(DEFAULT_NETWORK)
    key_words = _key_words()
    return {
        "jobs": _over_exchange(
            "{slot}", exchanges[jobs], _OTHER_NETWORKS, JOBS, {"slot": {"description": _SLOT}}
        ),
        "replies": _over_exchange(
            f"{_KEY}.{{kind}}",
            exchanges[HUB],
            "The hub: every reply to a turn, published once. Bind your own queue to what you want: "
            "acme.sms.*.final for a bot, *.*.<task id>.* for one conversation, # for an audit log.",
            ON_HUB,
            key_words,
        ),
        "taskReplies": _over_exchange(
            f"{_KEY}.{{kind}}",
            task_exchange("{task_id}"),
            "One task's replies, routed on from the hub. The exchange is gone when nobody is bound "
            "to it; whoever comes first declares it. Bind with #.",
            ON_HUB,
            key_words,
        ),
        "replyTo": {
            "address": None,
            "description": "The queue that a job's reply_to names: it gets the replies to a "
            "message as well, and alone the answers to questions about tasks.",
            "messages": _messages(REPLIES),
            "bindings": {"amqp": {"is": "queue", "queue": {}, "bindingVersion": BINDING}},
        },
        "deadLetters": _over_exchange(
            f"{_KEY}.{{reason}}",
            exchanges[DEAD],
            f"What could not be answered. The queue {DEAD}, bound with #, keeps it for "
            f"{DEAD_TTL_MS // _HOUR_MS // 24} days.",
            [DEAD_LETTER],
            _before_kind()
            | {"reason": {"description": "Why, in a word.", "examples": list(REASONS)}},
        ),
        "unclaimed": {
            "address": UNCLAIMED,
            "description": "Finals and failures that nobody could take, for "
            f"{UNCLAIMED_TTL_MS // _HOUR_MS} hours.",
            "messages": _messages([s for s in REPLIES if s.kind in TERMINAL]),
            "bindings": {
                "amqp": {
                    "is": "queue",
                    "queue": {"name": UNCLAIMED, "durable": True},
                    "bindingVersion": BINDING,
                }
            },
        },
    }


def routing_key(shape: Shape) -> str | None:
    """Return what a message is published to an exchange with; None for what goes to a queue."""
    if shape is DEAD_LETTER:
        return f"{_KEY}.{{reason}}"
    return f"{_KEY}.{shape.kind}" if shape in ON_HUB else None


def _over_exchange(
    key: str,
    exchange: ExchangeSpec,
    says: str,
    shapes: Sequence[Shape],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "address": key,
        "description": says,
        "messages": _messages(shapes),
        "parameters": dict(parameters),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": exchange.name,
                    "type": exchange.type,
                    "durable": exchange.durable,
                    "autoDelete": exchange.auto_delete,
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _messages(shapes: Sequence[Shape]) -> dict[str, Any]:
    return {
        shape.identifier: {"$ref": f"#/components/messages/{shape.identifier}"} for shape in shapes
    }


def _before_kind() -> dict[str, Any]:
    return {
        "network": {"description": f"The network whose key was used. {_WORD}"},
        "channel": {"description": f"What the producer said in aui-channel. {_WORD}"},
        "task_id": {"description": f"The task; {NO_TASK} where it is not known. {_WORD}"},
    }


def _key_words() -> dict[str, Any]:
    return _before_kind() | {
        "kind": {
            "description": "What it is.",
            "enum": [str(shape.kind) for shape in ON_HUB],
        }
    }
