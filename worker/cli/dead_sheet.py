"""All that a letter says, on one sheet for a person at a terminal."""

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.cli.dead_screen import ago, lasts, line, moment, span, whose
from worker.cli.screen import plain
from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.dead.advice import advice_for
from worker.dead.again import attempts, unfit
from worker.dead.head import Head
from worker.dead.head import moment as read

_TOLD = ("message_id", "correlation_id", "reply_to", "type", "timestamp", "app_id", "content_type")
LONGEST = 20_000
"""Characters of a body that are shown; export has all of it."""


def sheet(head: Head, letter: Envelope, now: datetime) -> RenderableType:
    """Return all that is known of a letter."""
    return Group(*_parts(head, letter, now), "")


def _parts(head: Head, letter: Envelope, now: datetime) -> Iterator[RenderableType]:
    headers = letter.properties.headers
    yield Text(plain(head.name) or "(no job id)", "bold")
    yield _facts(head, letter, now)
    yield _heading("what was said")
    yield _block(_body(letter.body))
    if rows := attempts(headers):
        yield _heading("attempts")
        yield _timeline(rows)
    if said := headers.get(h.DEAD_TEXT):
        yield _heading("text received so far")
        yield _block(str(said))
    if error := headers.get(h.DEAD_ERROR):
        yield _heading("error")
        yield _block(_pretty(str(error)))
    yield _heading("properties")
    yield _pairs({name: value for name in _TOLD if (value := getattr(letter.properties, name))})
    if own := _own(letter.properties):
        yield _heading("headers")
        yield _pairs(own)
    yield _heading("what to do")
    yield _block(_advice(head))


def _facts(head: Head, letter: Envelope, now: datetime) -> Table:
    headers = letter.properties.headers
    told: dict[str, Any] = {
        "reason": head.reason,
        "status": headers.get(h.DEAD_STATUS_CODE),
        "close code": headers.get(h.DEAD_CLOSE_CODE),
        "network": head.network,
        "channel": head.channel,
        "task": whose(head),
        "died": f"{moment(head.died_at)} ({ago(head.died_at, now)})",
        "worker": headers.get(h.DEAD_WORKER),
        "edited": headers.get(h.EDITED_AT),
        "replayed": f"{head.replays} times before" if head.replays else None,
        "messages": head.copies if head.copies > 1 else None,
    }
    since = read(head.edited_at) or head.died_at
    if since is not None:
        told["deleted in"] = span(since + lasts() - now)
    return _pairs({name: value for name, value in told.items() if value is not None})


def _timeline(rows: list[dict[str, Any]]) -> Table:
    table = Table("at", "attempt", "phase", "what", "detail", box=box.SIMPLE)
    for row in rows:
        table.add_row(*(line(str(row.get(name, ""))) for name in _ROW))
    return table


_ROW = ("at", "attempt", "phase", "what", "detail")


def _own(properties: Properties) -> dict[str, Any]:
    """Return the headers that are not shown elsewhere."""
    return {
        name: value
        for name, value in sorted(properties.headers.items())
        if not name.startswith(("aui-dead-", "x-", h.EDITED_AT))
    }


def _advice(head: Head) -> str:
    advice, name = advice_for(head.reason), shlex.quote(plain(head.name))
    lines = [
        f"It is for {advice.whose}. {advice.do}",
        f"Send it again: {advice.again[0].lower()}{advice.again[1:]}",
        "",
    ]
    if why := unfit(head):
        lines.append(f"(replay leaves it: {why})")
    commands = [f"aui-worker dead {verb} {name}" for verb in ("replay", "edit", "drop")]
    return "\n".join([*lines, *commands])


def _body(body: bytes) -> str:
    try:
        text = _pretty(body.decode("utf-8"))
    except UnicodeDecodeError:
        text = repr(body)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(body)} bytes)"


def _pretty(text: str) -> str:
    """Lay JSON out; anything else stays as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _heading(words: str) -> Text:
    return Text(f"\n{words}", "bold")


def _block(text: str) -> Padding:
    return Padding(Text(plain(text)), (0, 0, 0, 2))


def _pairs(values: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in values.items():
        table.add_row(Text(f"  {plain(name)}", "dim"), line(str(value)))
    return table
