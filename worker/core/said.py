"""What was said in a task: AUI's history, read so that an answer in it can be handed on."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.core.moment import seconds_of

_GAP = re.compile(r"[ \t\n\r,]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a task's history.

    Attributes:
        text: its text.
        by_user: the user said it; everything else is an answer.
        id: its id, "" where AUI gave none.
        at: when it was said, in seconds since 1970 on AUI's clock, where it says so.
        raw: the message exactly as AUI wrote it, one JSON object.
    """

    text: str
    by_user: bool
    id: str = ""
    at: float | None = None
    raw: bytes = field(default=b"", repr=False)


def read_history(raw: bytes) -> list[Said] | None:
    """Read ``GET /tasks/{task_id}/messages``: an array of messages, oldest first; None if none.

    Whichever way AUI sorts them: where every message tells its time, that decides.
    """
    try:
        items = list(_items(raw.decode("utf-8")))
    except (ValueError, RecursionError):
        return None
    history = [_said(item, written) for item, written in items if isinstance(item, dict)]
    times = [said.at for said in history if said.at is not None]
    if times and times[0] > times[-1]:
        history.reverse()
    if len(times) == len(history):
        history.sort(key=lambda said: said.at or 0.0)
    return history


def _items(text: str) -> Iterator[tuple[Any, str]]:
    """Yield each value of a JSON array, with the text it was written in."""
    text = text.strip()
    if not text.startswith("["):
        raise ValueError("no array")
    place = _after_gap(text, 1)
    while text[place : place + 1] != "]":
        value, end = _DECODER.raw_decode(text, place)
        yield value, text[place:end]
        place = _after_gap(text, end)


def _after_gap(text: str, place: int) -> int:
    gap = _GAP.match(text, place)
    return gap.end() if gap else place


def _said(message: dict[str, Any], written: str) -> Said:
    sender, text, said_id = (message.get(name) for name in ("sender", "text", "id"))
    return Said(
        text=text if isinstance(text, str) else "",
        by_user=isinstance(sender, dict) and sender.get("type") == "user",
        id=str(said_id) if said_id is not None else "",
        at=seconds_of(message.get("created_at")),
        raw=written.encode("utf-8", "backslashreplace"),
    )
