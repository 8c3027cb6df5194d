"""Holds messages of the worker against the published contract: ``docs/contract/schemas``."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

PUBLISHED = Path(__file__).parents[2] / "docs" / "contract"
HUB, TASK, DEAD = "aui.replies", "aui.task.", "aui.dead"
WORD = "[A-Za-z0-9_-]{1,64}"


@dataclass(frozen=True)
class Seen:
    """One message as it came from the broker.

    ``properties`` are those of AMQP by their own names, headers apart; what is not set is left out.
    """

    exchange: str
    routing_key: str
    properties: Mapping[str, Any]
    headers: Mapping[str, Any]
    body: bytes


def violation(seen: Seen) -> str | None:
    """Say what of the contract a message breaks; None if nothing, or if it is none of ours."""
    name = _name(seen)
    if name is None:
        return None
    parts = {"headers": _json(seen.headers), "properties": _json(seen.properties)}
    if name != "letters/dead":
        try:
            parts["body"] = json.loads(seen.body)
        except ValueError as error:
            return f"{name}: its body is no JSON: {error}"
    for part, value in parts.items():
        validator = _validator(name, part)
        if validator is None:
            return f"{name} is not of the contract"
        wrong = next(validator.iter_errors(value), None)
        if wrong is not None:
            return f"{name} {part} at {wrong.instance_path}: {wrong.message}"
    return _misplaced(seen, name)


@cache
def _validator(name: str, part: str) -> jsonschema_rs.Validator | None:
    file = PUBLISHED / "schemas" / name / f"{part}.json"
    if not file.is_file():
        return None
    return jsonschema_rs.validator_for(json.loads(file.read_text(encoding="utf-8")))


def _name(seen: Seen) -> str | None:
    """Return what the contract calls it: by where it was published, else by what it says."""
    if seen.exchange == DEAD:
        return "letters/dead"
    on_hub = seen.exchange == HUB or seen.exchange.startswith(TASK)
    if on_hub or (seen.exchange == "" and "aui-schema" in seen.headers):
        return f"replies/{seen.properties.get('type')}"
    return None


def _misplaced(seen: Seen, name: str) -> str | None:
    """Say what is wrong with the routing key of what went to an exchange."""
    if not seen.exchange:
        return None
    key = _key(name, str(seen.headers.get("aui-dead-reason")))
    if key is not None and key.fullmatch(seen.routing_key):
        return None
    return f"{name}: its routing key is {seen.routing_key}"


@cache
def _key(name: str, reason: str) -> re.Pattern[str] | None:
    messages = json.loads((PUBLISHED / "asyncapi.json").read_text())["components"]["messages"]
    (template,) = (
        message.get("x-routing-key") for message in messages.values() if message["name"] == name
    )
    return template and re.compile(re.sub(r"{\w+}", WORD, template.replace("{reason}", reason)))


def _json(value: Any) -> Any:
    """Return a header table, or a value of it, in JSON's terms."""
    match value:
        case dict():
            return {str(name): _json(item) for name, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
        case datetime():
            return int(value.timestamp())
        case None | bool() | int() | float() | str():
            return value
        case _:
            return repr(value)
