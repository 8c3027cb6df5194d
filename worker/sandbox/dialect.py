"""AUI's two ways of putting things: the documents' (`docs`) and its own SDK's (`sdk`).

What the documents show is on AUI's Messages, Tasks and WebSocket pages; what the SDK reads is in
AUI's AsyncAPI contract (a channel and scope envelope around each update, `cards` for `options`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from worker.sandbox.catalog import Product
from worker.sandbox.refusal import FieldError
from worker.sandbox.store import Task, TaskMessage

DialectName = Literal["docs", "sdk"]

UPDATE_EVENT = "thread-message-text-content-updated"
UNKNOWN_EVENT = "thread-message-reaction-updated"
GARBAGE = "<html><body>502 Bad Gateway</body></html>"

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Compact JSON; text stays readable UTF-8."""


@dataclass(frozen=True, slots=True)
class TurnContext:
    """What an update says about its turn; `message_id` is that of the answer to come."""

    task_id: str
    message_id: str
    interaction_id: str
    timestamp: str


class Dialect(Protocol):
    """How frames and bodies look; every method is pure."""

    def updates(self, turn: TurnContext) -> Callable[[str], str]:
        """A function from cumulative text to the frame of a text update."""

    def unknown(self, turn: TurnContext) -> str:
        """A frame with an event no document mentions."""

    def message(self, message: TaskMessage, task: Task) -> dict[str, Any]:
        """An ExternalTaskMessage: the final frame, the REST answer, a line of the history."""

    def unauthorized(self) -> dict[str, Any]:
        """The body of a REST 401."""

    def invalid(self, errors: Sequence[FieldError]) -> dict[str, Any]:
        """The body of a REST 422."""


def task_json(task: Task) -> dict[str, Any]:
    """A task as both dialects show it (seed 003)."""
    return {
        "id": task.id,
        "user_id": task.user_id,
        "title": task.title,
        "welcome_message": task.welcome_message,
        "followup_suggestions": list(task.followup_suggestions),
    }


class Docs:
    """The documents' dialect: flat events, `options`, `{"detail": …}`."""

    def updates(self, turn: TurnContext) -> Callable[[str], str]:
        """`{"event", "data": {"text"}}`, whatever the turn."""
        return lambda text: f'{{"event":"{UPDATE_EVENT}","data":{{"text":{encode(text)}}}}}'

    def unknown(self, turn: TurnContext) -> str:
        """The same shape with another event."""
        return encode({"event": UNKNOWN_EVENT, "data": {"message_id": turn.message_id}})

    def message(self, message: TaskMessage, task: Task) -> dict[str, Any]:
        """The samples' message: with emails, `options` and `variants_options`."""
        agent = {"id": "agent_abc123", "type": "agent", "email": "agent@aui.io"}
        user = {"id": task.user_id, "type": "user", "email": "customer@example.com"}
        return {
            **_envelope(message, agent, user),
            "options": [
                {"is_recommended": not number, "widget_parameters": _parameters(product)}
                for number, product in enumerate(message.products)
            ],
            "variants_options": [],
            "followup_suggestions": list(message.suggestions),
        }

    def unauthorized(self) -> dict[str, Any]:
        """Seed 001's sample."""
        return {"detail": "Not authenticated"}

    def invalid(self, errors: Sequence[FieldError]) -> dict[str, Any]:
        """Seed 001's sample."""
        return {"detail": [error.as_json() for error in errors]}


class Sdk:
    """The SDK's dialect: enveloped events, `cards`, `{"status_code", "errors"}` (seed 002)."""

    def updates(self, turn: TurnContext) -> Callable[[str], str]:
        """`{"channel", "scope", "data": {"text"}, "timestamp"}`; only the text changes."""
        head, tail = _sdk_event(UPDATE_EVENT, turn, {"text": ""}).split('{"text":""}')
        return lambda text: f'{head}{{"text":{encode(text)}}}{tail}'

    def unknown(self, turn: TurnContext) -> str:
        """The same envelope with another event name."""
        return _sdk_event(UNKNOWN_EVENT, turn, {"message_id": turn.message_id})

    def message(self, message: TaskMessage, task: Task) -> dict[str, Any]:
        """The SDK's message: without emails or options, with `cards`."""
        agent = {"id": "intelligent-agent", "type": "agent", "email": None}
        user = {"id": task.user_id, "type": "user", "email": None}
        return {
            **_envelope(message, agent, user),
            "cards": [
                {
                    "id": product.id,
                    "name": product.name,
                    "parameters": _parameters(product),
                    "is_recommended": not number,
                }
                for number, product in enumerate(message.products)
            ],
            "followup_suggestions": list(message.suggestions),
        }

    def unauthorized(self) -> dict[str, Any]:
        """Seed 002's sample."""
        return {"status_code": 401, "errors": ["Unauthorized"]}

    def invalid(self, errors: Sequence[FieldError]) -> dict[str, Any]:
        """Seed 002's sample."""
        return {"status_code": 422, "errors": [error.as_json() for error in errors]}


DIALECTS: dict[DialectName, Dialect] = {"docs": Docs(), "sdk": Sdk()}


def _envelope(message: TaskMessage, agent: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    sender, receiver = (agent, user) if message.sender == "agent" else (user, agent)
    return {
        "id": message.id,
        "created_at": message.created_at,
        "text": message.text,
        "sender": sender,
        "receiver": receiver,
    }


def _parameters(product: Product) -> list[dict[str, Any]]:
    # Seed 002's sample: a price is a string that calls itself numeric.
    return [
        {"title": "Product name", "value": product.name, "type": "string"},
        {"title": "Price", "value": product.price_tag, "type": "numeric"},
        {"title": "Rating", "value": product.rating, "type": "numeric"},
    ]


def _sdk_event(event: str, turn: TurnContext, data: dict[str, Any]) -> str:
    return encode(
        {
            "channel": {
                "type": "WEBSOCKET",
                "channel_name": f"task-{turn.task_id}",
                "event_name": event,
            },
            "scope": {
                "type": "LLM_ACTIVATION_EXECUTION",
                "data": {"status": "PENDING"},
                "context": {
                    "message_id": turn.message_id,
                    "task_id": turn.task_id,
                    "interaction_id": turn.interaction_id,
                    "pillar": "agent",
                },
            },
            "data": data,
            "timestamp": turn.timestamp,
        }
    )
