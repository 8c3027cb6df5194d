"""Tells whether a contract still keeps what an older one promised.

A producer of before must still be understood: whatever a job's schema took, it takes. A
subscriber of before must still understand: whatever a reply's schema admits, it admitted before.
Both, and dead letters, keep every property that was ever named, and channels, operations and
types stay what they were. What is new is fine: properties that may be left out, messages, and
operations.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012, canonicalize
from jsonschema_rs.canonical import Containment

Documents = Mapping[str, Any]
"""JSON documents by path."""
PRODUCED = "schemas/jobs/"
_FIXED: Mapping[str, Sequence[str]] = {
    "channels": ("address", "bindings"),
    "operations": ("action", "channel", "bindings", "reply.address.location", "reply.channel"),
    "messages": ("name", "contentType", "correlationId.location", "bindings", "x-routing-key"),
}
"""What of each object of the AsyncAPI document is for ever."""
_KEPT = ("messages", "reply.messages", "parameters", "parameters.kind.enum")
"""What may only grow."""
_NOTES = frozenset({"description", "summary", "title", "examples"})


def read(folder: Path) -> Documents:
    """Read all documents of a folder."""
    return {
        file.relative_to(folder).as_posix(): json.loads(file.read_text())
        for file in sorted(folder.rglob("*.json"))
    }


def broken(old: Documents, new: Documents) -> list[str]:
    """Say what of the old contract the new one breaks; nothing if it breaks nothing."""
    found = list(_of_asyncapi(old["asyncapi.json"], new["asyncapi.json"]))
    for path, schema in old.items():
        if path.startswith("schemas/"):
            found += _of_schema(path, schema, new.get(path))
    return found


def _of_schema(path: str, old: Any, new: Any) -> Iterator[str]:
    if new is None:
        yield f"{path} is gone"
        return
    gone = sorted(_named(old) - _named(new))
    yield from (f"{path}: {name} is gone" for name in gone)
    if path.startswith(PRODUCED):
        if not _covers(_as_known(new, old), old):
            yield f"{path} refuses what it took: {_differing(old, new)}"
    elif not _covers(old, new):
        yield f"{path} admits what nobody was told of: {_differing(old, new)}"


def _covers(whole: Any, part: Any) -> bool:
    whole, part = (canonicalize(schema, draft=Draft202012) for schema in (whole, part))
    return bool(whole.covers(part) is Containment.YES)


def _named(schema: Any, at: str = "") -> set[str]:
    """Return every property that a schema names, with its place."""
    if isinstance(schema, list):
        return {name for item in schema for name in _named(item, at)}
    if not isinstance(schema, dict):
        return set()
    names = {f"{at}/{name}" for name in schema.get("properties", ())}
    for key, inner in schema.items():
        if key not in _NOTES or at.endswith("/properties"):
            names |= _named(inner, f"{at}/{key}")
    return names


def _as_known(new: Any, old: Any) -> Any:
    """Return a schema without the properties that an older one does not name.

    A producer of before may have sent anything by such a name, but had no reason to.
    """
    if isinstance(new, list) and isinstance(old, list):
        pairs = zip(new, old, strict=False)
        return [_as_known(*pair) for pair in pairs] + new[len(old) :]
    if not isinstance(new, dict) or not isinstance(old, dict):
        return new
    kept = {key: _as_known(value, old[key]) if key in old else value for key, value in new.items()}
    if "properties" in new:
        known = old.get("properties", {})
        kept["properties"] = {n: s for n, s in kept["properties"].items() if n in known}
    return kept


def _of_asyncapi(old: Any, new: Any) -> Iterator[str]:
    for kind, fixed in _FIXED.items():
        before, after = _all(old, kind), _all(new, kind)
        for name, told in before.items():
            if name not in after:
                yield f"{kind} {name} is gone"
                continue
            yield from _of_one(f"{kind} {name}", told, after[name], fixed)


def _of_one(what: str, old: Any, new: Any, fixed: Sequence[str]) -> Iterator[str]:
    for path in fixed:
        was, is_ = _at(old, path), _at(new, path)
        if was != is_:
            yield f"{what}: {path} was {was}, is {is_}"
    for path in _KEPT:
        for each in _at(old, path) or ():
            if each not in (_at(new, path) or ()):
                yield f"{what}: {path} lost {each}"


def _all(document: Any, kind: str) -> Any:
    return document[kind] if kind in document else document["components"][kind]


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _differing(old: Any, new: Any) -> str:
    """Name the places at which two schemas differ."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return ", ".join(places[:5]) or "in the order of its parts"


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{at}/{key}")
    elif isinstance(value, list):
        yield at, json.dumps(value)
    else:
        yield at, value
