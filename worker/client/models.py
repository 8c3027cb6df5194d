"""AUI's tasks, messages and product options as typed values; what is not known here is in ``raw``.

AUI speaks two dialects (``options`` with ``widget_parameters``, ``cards`` with ``parameters``),
leaves fields out and adds new ones: nothing of that is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from worker.core.moment import seconds_of

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One property of an option, like its price.

    Attributes:
        title: its name.
        value: text, number, list or object, as AUI wrote it.
        type: AUI's word for its type.
    """

    title: str
    value: Any
    type: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One product that the agent offers.

    Attributes:
        name: its name; where AUI gives none, the value of its first parameter.
        parameters: what is told about it.
        recommended: the agent recommends it.
        raw: AUI's object.
    """

    name: str
    parameters: tuple[Parameter, ...]
    recommended: bool
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, raw: Json) -> Self:
        """Read AUI's object, in either dialect."""
        rows = objects_in(raw, "widget_parameters") or objects_in(raw, "parameters")
        parameters = tuple(
            Parameter(text_in(row, "title"), row["value"], text_in(row, "type"))
            for row in rows
            if "value" in row
        )
        first = str(parameters[0].value) if parameters else ""
        return cls(text_in(raw, "name") or first, parameters, bool(raw.get("is_recommended")), raw)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a task.

    Attributes:
        id: its id, "" where AUI gave none.
        text: its text.
        sender: AUI's word for who said it: ``user``, ``agent``, ….
        created_at: when, in UTC; None where AUI does not say.
        options: the products it offers.
        followup_suggestions: what the user might say next.
        raw: AUI's object.
    """

    id: str
    text: str
    sender: str
    created_at: datetime | None
    options: tuple[Option, ...]
    followup_suggestions: tuple[str, ...]
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, raw: Json) -> Self:
        """Read AUI's ``ExternalTaskMessage``."""
        sender = raw.get("sender")
        seconds = seconds_of(raw.get("created_at"))
        return cls(
            id=text_in(raw, "id"),
            text=text_in(raw, "text"),
            sender=text_in(sender, "type") if isinstance(sender, Mapping) else "",
            created_at=None if seconds is None else datetime.fromtimestamp(seconds, UTC),
            options=options_in(raw),
            followup_suggestions=texts_in(raw, "followup_suggestions"),
            raw=raw,
        )

    @property
    def by_user(self) -> bool:
        """The user said it."""
        return self.sender == "user"


@dataclass(frozen=True, slots=True)
class Task:
    """A conversation.

    Attributes:
        id: its id: the ``task_id`` of its jobs.
        user_id: whose it is.
        title: AUI's title for it.
        welcome_message: what the agent opens with; "" for nothing.
        followup_suggestions: what the user might say first.
        raw: AUI's object.
    """

    id: str
    user_id: str
    title: str
    welcome_message: str
    followup_suggestions: tuple[str, ...]
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, raw: Json) -> Self:
        """Read AUI's task object."""
        return cls(
            id=text_in(raw, "id"),
            user_id=text_in(raw, "user_id"),
            title=text_in(raw, "title"),
            welcome_message=text_in(raw, "welcome_message"),
            followup_suggestions=texts_in(raw, "followup_suggestions"),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a user's tasks, sorted as AUI sorts them.

    Attributes:
        tasks: the tasks of the page.
        total: how many there are in all.
        page: its number, from 1.
        size: how many fit on a page.
        raw: AUI's object.
    """

    tasks: tuple[Task, ...]
    total: int
    page: int
    size: int
    raw: Json = field(repr=False)

    @classmethod
    def read(cls, raw: Json) -> Self:
        """Read AUI's page object."""
        tasks = tuple(map(Task.read, objects_in(raw, "tasks")))
        return cls(
            tasks=tasks,
            total=_number_in(raw, "total", len(tasks)),
            page=_number_in(raw, "page", 1),
            size=_number_in(raw, "size", len(tasks)),
            raw=raw,
        )


def options_in(raw: Json) -> tuple[Option, ...]:
    """Return the products that an answer offers."""
    return tuple(map(Option.read, [*objects_in(raw, "options"), *objects_in(raw, "cards")]))


def text_in(raw: Json, name: str) -> str:
    """Return a field that is text, or a number for one; "" where there is none."""
    value = raw.get(name)
    return str(value) if isinstance(value, str | int) else ""


def texts_in(raw: Json, name: str) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(item for item in _list_in(raw, name) if isinstance(item, str))


def objects_in(raw: Json, name: str) -> list[Json]:
    """Return the objects of a list."""
    return [item for item in _list_in(raw, name) if isinstance(item, Mapping)]


def _list_in(raw: Json, name: str) -> list[Any]:
    value = raw.get(name)
    return value if isinstance(value, list) else []


def _number_in(raw: Json, name: str, default: int) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) else default
