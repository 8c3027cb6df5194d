"""Reads request bodies and queries, and says what is wrong with them as AUI does (a 422)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.sandbox.refusal import FieldError, Refused, invalid


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A user message: `{"task_id", "text", "context"?}`; `body` is the whole object as sent.

    Fields AUI does not know stay in `body` and mean nothing.
    """

    task_id: str
    text: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Which tasks to list: `page` counts from 1, `size` is tasks a page."""

    user_id: str
    page: int
    size: int


def read_json(raw: bytes | str) -> Any:
    """The JSON value in `raw`; Refused (422) when it is none."""
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        raise _refused(
            FieldError(("body", error.pos), str(error), "value_error.jsondecode")
        ) from None
    except (ValueError, RecursionError):
        raise _refused(FieldError(("body",), "not JSON", "value_error.jsondecode")) from None


def read_body(raw: bytes, content_type: str) -> Any:
    """The JSON value of a request body; Refused (422) unless the content type says JSON too.

    "Must be `application/json`" (Messages and Tasks pages).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _refused(_not_an_object("body"))
    return read_json(raw)


def read_message(value: Any) -> MessageRequest:
    """A message from its JSON value; Refused (422) names every field that is wrong."""
    body = _object(value)
    _check([*_required_string(body, "task_id"), *_required_string(body, "text"), *_context(body)])
    return MessageRequest(body["task_id"], body["text"], body)


def read_user_id(value: Any) -> str:
    """The `user_id` of a create-task body; Refused (422) without one."""
    body = _object(value)
    _check([*_required_string(body, "user_id")])
    user_id: str = body["user_id"]
    return user_id


def read_page(query: Mapping[str, str]) -> Page:
    """The list-tasks query: `user_id`, `page` (1), `size` (10); Refused (422) when wrong."""
    errors = [] if "user_id" in query else [_missing("query", "user_id")]
    for name in ("page", "size"):
        errors += _count(query, name)
    _check(errors)
    return Page(query["user_id"], int(query.get("page", 1)), int(query.get("size", 10)))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused(_not_an_object("body"))
    return value


def _required_string(body: Mapping[str, Any], name: str) -> Iterator[FieldError]:
    if name not in body:
        yield _missing("body", name)
    else:
        yield from _string(body[name], "body", name)


def _context(body: Mapping[str, Any]) -> Iterator[FieldError]:
    context = body.get("context")
    if context is None:
        return
    if not isinstance(context, dict):
        yield _not_an_object("body", "context")
        return
    if context.get("url") is not None:
        yield from _string(context["url"], "body", "context", "url")
    if not isinstance(context.get("lead_details"), dict | None):
        yield _not_an_object("body", "context", "lead_details")


def _string(value: Any, *loc: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield FieldError(loc, "str type expected", "type_error.str")
    elif not _encodable(value):
        yield FieldError(loc, "not a valid unicode string", "value_error.unicode")


def _encodable(text: str) -> bool:
    # A lone surrogate ("\ud800") is legal JSON, but no UTF-8 history could show it again.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _count(query: Mapping[str, str], name: str) -> list[FieldError]:
    word = query.get(name, "1")
    if not (word.isascii() and word.isdigit() and len(word) <= 9):
        return [FieldError(("query", name), "value is not a valid integer", "type_error.integer")]
    if int(word) < 1:
        wanted = "ensure this value is greater than or equal to 1"
        return [FieldError(("query", name), wanted, "value_error.number.not_ge")]
    return []


def _missing(*loc: str) -> FieldError:
    # Word for word the documents' 422 sample (seed 001 "Errors").
    return FieldError(loc, "field required", "value_error.missing")


def _not_an_object(*loc: str) -> FieldError:
    return FieldError(loc, "value is not a valid dict", "type_error.dict")


def _check(errors: list[FieldError]) -> None:
    if errors:
        raise _refused(*errors)


def _refused(*errors: FieldError) -> Refused:
    return Refused(invalid(errors))
