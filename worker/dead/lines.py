"""Letters as lines of JSON, with all that is needed to bring them back."""

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from worker.core.envelope import Envelope, Properties

_PLAIN = tuple(
    field.name for field in fields(Properties) if field.name not in ("headers", "timestamp")
)
_BYTES, _TIME, _DECIMAL, _TABLE = "$base64", "$time", "$decimal", "$table"
_MARKS = (_BYTES, _TIME, _DECIMAL, _TABLE)


class NoLetter(ValueError):
    """A line that holds no letter; the text says why."""


def line_of(letter: Envelope) -> str:
    """Write a letter as one line of JSON, without its end.

    A body that is UTF-8 stands under ``body``, any other under ``body_base64``. What JSON does not
    know stands in an object: ``{"$base64": …}``, ``{"$time": …}``, ``{"$decimal": …}``.
    """
    properties = letter.properties
    told: dict[str, Any] = {"routing_key": letter.routing_key}
    try:
        told["body"] = letter.body.decode("utf-8")
    except UnicodeDecodeError:
        told["body_base64"] = base64.b64encode(letter.body).decode("ascii")
    named = {name: getattr(properties, name) for name in _PLAIN}
    told["properties"] = {name: value for name, value in named.items() if value is not None}
    if properties.timestamp is not None:
        told["properties"]["timestamp"] = properties.timestamp.isoformat()
    own = {name: value for name, value in properties.headers.items() if not name.startswith("x-")}
    told["headers"] = _json(own, top=True)
    return json.dumps(told, ensure_ascii=False)


def letter_in(line: str) -> Envelope:
    """Read a line that :func:`line_of` wrote.

    Raises:
        NoLetter: it is none.
    """
    try:
        told = json.loads(line)
        key, properties, headers = told["routing_key"], told["properties"], told["headers"]
        if "body" in told:
            body = told["body"].encode("utf-8", "surrogatepass")
        else:
            body = base64.b64decode(told["body_base64"], validate=True)
        timestamp = properties.pop("timestamp", None)
        when = None if timestamp is None else datetime.fromisoformat(timestamp)
        known = Properties(headers=_value(headers), timestamp=when, **properties)
    except KeyError as error:
        raise NoLetter(f"misses {error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NoLetter(str(error)) from None
    if not isinstance(key, str) or not isinstance(known.headers, dict):
        raise NoLetter("routing_key must be text, headers an object")
    headers = {name: v for name, v in known.headers.items() if not name.startswith("x-")}
    # Neither of them was on a letter; by hand they would close the channel, or evaporate it.
    known = replace(known, headers=headers, user_id=None, expiration=None)
    return Envelope(key.partition(".")[0], body, key, known)


def _json(value: Any, *, top: bool = False) -> Any:
    match value:
        case dict():
            table = {str(name): _json(item) for name, item in value.items()}
            marked = not top and any(name in _MARKS for name in table)
            return {_TABLE: table} if marked else table
        case list() | tuple():
            return [_json(item) for item in value]
        case bytes() | bytearray():
            return {_BYTES: base64.b64encode(value).decode("ascii")}
        case datetime():
            return {_TIME: value.isoformat()}
        case Decimal():
            return {_DECIMAL: str(value)}
        case _:
            return value


def _value(value: Any) -> Any:
    match value:
        case {"$base64": str(text)}:
            return bytearray(base64.b64decode(text, validate=True))
        case {"$time": str(text)}:
            return datetime.fromisoformat(text)
        case {"$decimal": str(text)}:
            return text
        case {"$table": dict(table)}:
            return _table(table)
        case dict():
            return _table(value)
        case list():
            return [_value(item) for item in value]
        case _:
            return value


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(item) for name, item in table.items()}
