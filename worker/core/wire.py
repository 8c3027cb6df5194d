"""One tolerant reader for everything AUI sends, in both dialects.

The documents' dialect names an event in a flat ``event``; the SDK's wraps it in
``channel.event_name``. Both end a turn with a bare ``ExternalTaskMessage``. Errors come in four
shapes. Shape decides, errors first ("Check for error events before processing data events",
AUI's best practices), and a frame of unknown shape is never taken for a final.
"""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from worker.core.moment import seconds_of
from worker.core.update import UPDATES, Update, read_update

MAX_NAMED = 200
"""Characters of an unknown frame's names that are told."""
_TOLD_BY = ("status_code", "statusCode", "detail", "errors")
"""The fields that tell an error, status or not."""


@dataclass(frozen=True, slots=True)
class Final:
    """The agent's whole answer: ``raw`` is the ``ExternalTaskMessage`` exactly as AUI sent it.

    ``at`` is when AUI made it, in seconds since 1970 on AUI's clock, where it says so.
    """

    raw: bytes = field(repr=False)
    id: str
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error payload: ``payload`` is JSON in AUI's own shape, whatever shape came."""

    payload: bytes = field(repr=False)
    status_code: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A JSON object of no known shape: to be counted and ignored."""

    what: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no JSON object."""

    what: str


Frame = Update | Final | Failure | Unknown | Garbage


def read_frame(raw: bytes) -> Frame:
    """Read one WebSocket frame; never raises."""
    update = read_update(raw)
    return read_frame_thoroughly(raw) if update is None else update


def read_frame_thoroughly(raw: bytes) -> Frame:
    """Read one WebSocket frame by all the rules."""
    body = parse_object(raw)
    if body is None:
        return Garbage(f"{len(raw)} bytes that are no JSON object")
    if _is_failure(body):
        return read_failure(raw)
    event = _event_of(body)
    if event in UPDATES or (event is None and body.get("type") in UPDATES):
        return _read_update(body)
    if event is None and _is_answer(body):
        return _final(raw, body)
    what = f"event {event!r}" if event else f"fields {sorted(body)[:8]}"
    return Unknown(what[:MAX_NAMED])


def read_message(raw: bytes) -> Final | None:
    """Read an ``ExternalTaskMessage`` out of a REST body; None if it is none."""
    body = parse_object(raw)
    if body is None or not _is_answer(body):
        return None
    return _final(raw, body)


def read_failure(raw: bytes, http_status: int | None = None) -> Failure:
    """Read an error payload, of a frame or of an HTTP response with that status.

    The shapes: ``{status_code, description, message, extra_data}``, ``{detail: text}``,
    ``{detail: [...]}`` and ``{status_code, errors: [...]}``, each in snake or camel case
    (AUI's error pages). A body of none of them still fails with the HTTP status.
    """
    body = parse_object(raw) or {}
    status = _status_of(body)
    if status is None:
        status = http_status
    description = body.get("description")
    message = body.get("message")
    whole = status is not None and body.get("status_code") == status
    if whole and isinstance(description, str) and isinstance(message, str):
        return Failure(payload=raw, status_code=status, message=message)
    told = body.get("detail", body.get("errors"))
    message = message if isinstance(message, str) else _words(told)
    message = message or (f"HTTP {http_status}" if http_status else "no message")
    payload = failure_payload(status, message, body, description=description)
    return Failure(payload=payload, status_code=status, message=message)


def failure_payload(
    status: int | None, message: str, extra: dict[str, Any], *, description: object = None
) -> bytes:
    """Write an error in AUI's shape ``{status_code, description, message, extra_data}``."""
    if not isinstance(description, str):
        description = _phrase(status)
    payload = {
        "status_code": status,
        "description": description,
        "message": message,
        "extra_data": extra,
    }
    try:
        written = json.dumps(payload, ensure_ascii=False, allow_nan=False)
    except (RecursionError, ValueError):  # too deep to nest once more, or NaN: no JSON
        written = json.dumps(payload | {"extra_data": {}}, ensure_ascii=False)
    return written.encode("utf-8", "backslashreplace")


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """Parse a JSON object; None for anything else, however broken or deep."""
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _final(raw: bytes, body: dict[str, Any]) -> Final:
    at = seconds_of(body.get("created_at"))
    return Final(raw=raw, id=str(body["id"]), text=_text_of(body), at=at)


def _is_failure(body: dict[str, Any]) -> bool:
    status = _status_of(body)
    if status is not None:
        # A later AUI may put a status on its answers too.
        return status >= HTTPStatus.BAD_REQUEST or not _is_answer(body)
    told = any(name in body for name in _TOLD_BY)
    return told and "id" not in body and _event_of(body) is None


def _is_answer(body: dict[str, Any]) -> bool:
    """Presence decides, not truth: an empty text is an answer too."""
    if body.get("id") in (None, "") or not ("sender" in body or "text" in body):
        return False
    sender = body.get("sender")
    return not (isinstance(sender, dict) and sender.get("type") == "user")


def _event_of(body: dict[str, Any]) -> str | None:
    channel = body.get("channel")
    if not isinstance(channel, dict):
        channel = {}
    named = (body.get("event"), channel.get("event_name"), channel.get("eventName"))
    return next((str(name) for name in named if name is not None), None)


def _read_update(body: dict[str, Any]) -> Update | Unknown:
    data = body.get("data")
    if not isinstance(data, dict) or "text" not in data:
        return Unknown("an update without data.text")
    scope = body.get("scope")
    context = scope.get("context") if isinstance(scope, dict) else None
    task_id = context.get("task_id") if isinstance(context, dict) else None
    return Update.saying(_text_of(data), task_id if isinstance(task_id, str) else None)


def _text_of(body: dict[str, Any]) -> str:
    text = body.get("text")
    if text is None:
        return ""
    return text if isinstance(text, str) else json.dumps(text)


def _status_of(body: dict[str, Any]) -> int | None:
    status = body.get("status_code", body.get("statusCode"))
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status[:5])
    if not isinstance(status, int) or isinstance(status, bool):
        return None
    return status if 0 <= status < 10_000 else None


def _words(told: object) -> str:
    """Say in one line what ``detail`` or ``errors`` holds."""
    if isinstance(told, str):
        return told
    if not isinstance(told, list):
        return ""
    return "; ".join(_word(item) for item in told[:8])


def _word(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    place = item.get("loc")
    words = str(item.get("msg", item.get("message", item)))
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return f"{where}: {words}" if where else words


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return "Error"
