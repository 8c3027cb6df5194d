"""The body of a job: AUI's message request, read strictly and passed on untouched.

``{"task_id", "text", "context"?}``, or a ``user_id`` in place of the task; every other field is
AUI's business and stays as it is.
"""

import json
import re
from typing import Any

from worker.core.errors import InvalidJob

WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a task id, network or channel may be: each becomes a word of a routing key."""

MAX_USER_ID_BYTES = 256
TASK_BYTES = len('"task_id":"",') + 64
"""What :func:`with_task` adds to a body, at the most."""


def is_word(value: object) -> bool:
    """Tell whether a value may be a word of a routing key."""
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def parse_body(body: bytes) -> dict[str, Any]:
    """Parse a JSON object without repeated names.

    Raises:
        InvalidJob: naming ``body``.
    """
    try:
        parsed = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidJob("body", f"is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise InvalidJob("body", "is nested too deeply") from None
    except ValueError as error:
        raise InvalidJob("body", f"is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidJob("body", f"must be a JSON object, not {shown(parsed)}")
    return parsed


def task_id_of(body: dict[str, Any]) -> str | None:
    """Return the task id; None in a job by user."""
    if "task_id" not in body:
        if "user_id" not in body:
            raise InvalidJob("task_id", "is missing (and so is user_id)")
        return None
    task_id = body["task_id"]
    if not is_word(task_id):
        raise InvalidJob("task_id", f"must match {WORD.pattern}, not {shown(task_id)}")
    return str(task_id)


def user_id_of(body: dict[str, Any]) -> str | None:
    """Return the user id, where there is one."""
    if "user_id" not in body:
        return None
    user_id = body["user_id"]
    if not isinstance(user_id, str) or not user_id.strip():
        raise InvalidJob("user_id", f"must be text, not {shown(user_id)}")
    size = _size("user_id", user_id)
    if size > MAX_USER_ID_BYTES:
        raise InvalidJob("user_id", f"{size} bytes are above the limit of {MAX_USER_ID_BYTES}")
    return user_id


def text_of(body: dict[str, Any]) -> str:
    """Return the user's message."""
    if "text" not in body:
        raise InvalidJob("text", "is missing")
    text = body["text"]
    if not isinstance(text, str):
        raise InvalidJob("text", f"must be text, not {shown(text)}")
    if not text.strip():
        raise InvalidJob("text", "must not be empty")
    _size("text", text)
    return text


def count_of(body: dict[str, Any], field: str, limit: int) -> int | None:
    """Return a number from 1 up to a limit; None where there is none."""
    count = body.get(field)
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= limit:
        raise InvalidJob(field, f"must be a number from 1 to {limit}, not {shown(count)}")
    return count


def request_of(raw: bytes, body: dict[str, Any]) -> bytes:
    """Return the request for AUI: the job's own bytes, but with a whole ``context``.

    AUI's OpenAPI document requires both keys of a context, nullable, where its pages call them
    optional; a job may leave either out. Only then is the body written anew: the same values.
    """
    context = body.get("context")
    if context is None:
        return raw
    if not isinstance(context, dict):
        raise InvalidJob("context", f"must be an object, not {shown(context)}")
    url, lead = context.get("url"), context.get("lead_details")
    if url is not None and not isinstance(url, str):
        raise InvalidJob("context.url", f"must be text, not {shown(url)}")
    if lead is not None and not isinstance(lead, dict):
        raise InvalidJob("context.lead_details", f"must be an object, not {shown(lead)}")
    if "url" in context and "lead_details" in context:
        return raw
    whole = {"url": None, "lead_details": None} | context
    return json.dumps(body | {"context": whole}).encode("ascii")


def with_task(body: bytes, task_id: str) -> bytes:
    """Put a task id in front of the fields of a job by user, which stay as they are.

    Only for the body of a valid job by user: an object without a ``task_id``.
    """
    inside = body.lstrip()[1:]
    return b'{"task_id":"%s",%s' % (task_id.encode("ascii"), inside)


def shown(value: object) -> str:
    """Show a value in an error, shortened: a producer's mistake may be megabytes long."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def cut(text: str, size: int) -> str:
    """Cut a text to so many bytes of UTF-8, at a character."""
    raw = text.encode("utf-8", "replace")
    return raw.decode("utf-8") if len(raw) <= size else raw[:size].decode("utf-8", "ignore")


def _size(field: str, text: str) -> int:
    """Count the bytes of a text; half an emoji, as JavaScript cuts them, is no text."""
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidJob(field, "must be valid Unicode") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated name: AUI might read the other one."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _finite(number: str) -> float:
    """Refuse a number beyond all floats: it could not be written again."""
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{shown(number)} is too large a number")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
)
