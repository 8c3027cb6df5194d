"""WhatsApp's message shapes: what users say, and an answer as text, reply buttons and a list.

Limits as in Meta's documents of the Cloud API ("Text", "Interactive reply buttons" and
"Interactive list messages"); a body of 1,024 characters is what both menus take.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from examples.bots.splitting import short, split
from worker.client import Final
from worker.client.models import Option

Json = dict[str, Any]

TEXT, BODY = 4096, 1024
BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
ROWS, ROW_TITLE, ROW_DESCRIPTION, ROW_ID = 10, 24, 72, 200
log = logging.getLogger(__name__)


class Said(NamedTuple):
    """One message of a user."""

    id: str
    user: str
    text: str


def said(notification: Any, phone_number_id: str) -> Iterator[Said]:
    """Yield what users said to a number; statuses, other numbers and what is no text are not."""
    match notification:
        case {"entry": [*entries]}:
            changes = [one for entry in entries for one in entry.get("changes", [])]
        case _:
            changes = []
    for change in changes:
        match change:
            case {"value": {"metadata": {"phone_number_id": str(number)}, "messages": [*news]}}:
                yield from (one for one in map(_read, news) if one and number == phone_number_id)


def _read(message: Any) -> Said | None:
    match message:
        case {"id": str(wamid), "from": str(user), "type": kind}:
            text = _words(message)
        case _:
            return None
    if not text:
        log.info("%s is %s, and no words", wamid, kind)
        return None
    return Said(wamid, user, text)


def _words(message: Json) -> str:
    match message:
        case {"text": {"body": str(text)}}:
            return text.strip()
        # The id of a button or row is the whole of what it says: see `answer`.
        case {"interactive": {"button_reply": {"id": str(text)}}}:
            return text
        case {"interactive": {"list_reply": {"id": str(text)}}}:
            return text
        case {"image": {"caption": str(text)}} | {"button": {"text": str(text)}}:
            return text.strip()
        case _:
            return ""


def answer(final: Final) -> list[Json]:
    """Return the messages of an answer, in order: its text, its products, what to ask next.

    A tapped button or row comes back as the user's next message: its id is what to say in full,
    whatever its title had room for.
    """
    rows = _rows(final.options)
    questions = _unique(final.followup_suggestions, BUTTON_ID)[:BUTTONS]
    menus: list[tuple[str, Json]] = []
    if rows:
        menus.append(("Here they are:", _list(rows)))
    if questions:
        whole = all(len(question) <= BUTTON_TITLE for question in questions)
        asked = [] if whole else [f"• {question}" for question in questions]
        menus.append(("\n".join(["You could also ask:", *asked]), _buttons(questions)))
    text = final.text.strip()
    # The text is the body of the first menu, unless it is too long or that has one of its own.
    if menus and 0 < len(text) <= BODY and "\n" not in menus[0][0]:
        menus[0] = (text, menus[0][1])
        text = ""
    return [*texts(text), *(_interactive(body, menu) for body, menu in menus)]


def texts(text: str) -> list[Json]:
    """Return a text as messages, cut between words where it is too long."""
    parts = split(text, lambda part: len(part) <= TEXT)
    return [{"type": "text", "text": {"body": part}} for part in parts]


def _interactive(body: str, menu: Json) -> Json:
    return {"type": "interactive", "interactive": {"body": {"text": body}, **menu}}


def _buttons(questions: Sequence[str]) -> Json:
    titles = [short(question, BUTTON_TITLE) for question in questions]
    if len(set(titles)) < len(titles):  # WhatsApp wants them told apart
        titles = [
            short(f"{n}. {question}", BUTTON_TITLE) for n, question in enumerate(questions, 1)
        ]
    replies = zip(questions, titles, strict=True)
    buttons = [{"type": "reply", "reply": {"id": id_, "title": title}} for id_, title in replies]
    return {"type": "button", "action": {"buttons": buttons}}


def _list(rows: Sequence[Json]) -> Json:
    sections = [{"title": "Options", "rows": rows}]
    return {"type": "list", "action": {"button": "Show options", "sections": sections}}


def _rows(options: Sequence[Option]) -> list[Json]:
    named = {option.name.strip()[:ROW_ID]: option for option in reversed(options)}
    names = _unique([option.name for option in options], ROW_ID)[:ROWS]
    return [_row(name, named[name]) for name in names]


def _row(name: str, option: Option) -> Json:
    about = [
        f"{one.title} {one.value}".strip()
        for one in option.parameters
        if isinstance(one.value, str | int | float) and str(one.value).strip() != name
    ]
    title = short(name, ROW_TITLE)
    told = about if title == name else [name, *about]
    row = {"id": name, "title": title}
    return row | {"description": short(" · ".join(told), ROW_DESCRIPTION)} if told else row


def _unique(texts: Sequence[str], length: int) -> list[str]:
    return list(dict.fromkeys(text for one in texts if (text := one.strip()[:length].strip())))
