"""AUI's own objects, as the worker hands them on: required is what it looks for itself.

Sources: AUI's "Messages", "Tasks" and "WebSocket" pages, and the models of its SDK, which call the
options ``cards``. Any object may hold more.
"""

from typing import Annotated, Any

from pydantic import MISSING, ConfigDict, Field

from worker.contract.fields import Open, Word, constant
from worker.core.update import UPDATED

MAX_STATUS = 9999


class Party(Open):
    """Who speaks, or is spoken to."""

    id: str | MISSING | None = MISSING
    type: Annotated[
        str | MISSING | None, Field(description="who it is", examples=["agent", "user", "3p"])
    ] = MISSING
    email: str | MISSING | None = MISSING


class Parameter(Open):
    """One property of a product."""

    title: str | MISSING = MISSING
    value: Annotated[Any, Field(description="a text, a number, a list or an object")] = MISSING
    type: Annotated[
        str | MISSING,
        Field(
            description="what the value stands for, whatever JSON type it has",
            examples=["string", "numeric"],
        ),
    ] = MISSING


class Option(Open):
    """A product that the agent shows."""

    is_recommended: bool | MISSING | None = MISSING
    widget_parameters: list[Parameter] | MISSING | None = MISSING


class Card(Open):
    """A product that the agent shows, in newer deployments of AUI."""

    id: str | MISSING | None = MISSING
    name: str | MISSING | None = MISSING
    parameters: list[Parameter] | MISSING | None = MISSING
    is_recommended: bool | MISSING | None = MISSING


class TaskMessage(Open):
    """One message of a task's history: AUI's ExternalTaskMessage."""

    created_at: Annotated[
        str | MISSING | None,
        Field(
            description="when, in UTC, with or without a zone",
            examples=["2026-03-09T14:22:01.000Z", "2025-10-09 12:26:07.576000"],
        ),
    ] = MISSING
    text: Annotated[str | MISSING | None, Field(description="the whole text")] = MISSING
    sender: Party | MISSING = MISSING
    receiver: Party | MISSING | None = MISSING
    options: Annotated[
        list[Option] | MISSING | None, Field(description="products, the recommended one first")
    ] = MISSING
    variants_options: list[Any] | MISSING | None = MISSING
    cards: Annotated[
        list[Card] | MISSING | None,
        Field(description="products, where the deployment says cards for options"),
    ] = MISSING
    followup_suggestions: Annotated[
        list[str] | MISSING | None, Field(description="what the user might say next")
    ] = MISSING


class ExternalTaskMessage(TaskMessage):
    """The agent's whole answer, byte for byte as AUI sent it (the key redacted)."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["sender"]}, {"required": ["text"]}]}
    )

    id: Annotated[str, Field(min_length=1, description="AUI's id of the message, opaque")]


class UpdateData(Open):
    """The text of an update."""

    text: Annotated[str, Field(description="all of the text so far: it replaces, never append it")]


class Update(Open):
    """The text so far, in this shape whichever AUI used."""

    event: Annotated[str, constant(UPDATED)]
    data: UpdateData


class ErrorPayload(Open):
    """AUI's error payload, made up in its shape where AUI sent none."""

    status_code: Annotated[
        int | None, Field(ge=0, le=MAX_STATUS, description="the HTTP status, where there is one")
    ]
    description: Annotated[str, Field(description="the class of error, for people")]
    message: Annotated[str, Field(description="what went wrong, for people")]
    extra_data: Annotated[Any, Field(description="whatever AUI adds")] = MISSING


class Task(Open):
    """AUI's task object."""

    id: Annotated[Word, Field(description="the task id")]
    user_id: str | MISSING = MISSING
    title: str | MISSING | None = MISSING
    welcome_message: Annotated[str | MISSING | None, Field(description="the agent's greeting")] = (
        MISSING
    )
    followup_suggestions: Annotated[
        list[str] | MISSING | None, Field(description="conversation starters")
    ] = MISSING


class TaskPage(Open):
    """AUI's page of a user's tasks."""

    tasks: list[Task]
    total: Annotated[int | MISSING, Field(description="how many there are on all pages")] = MISSING
    page: Annotated[int | MISSING, Field(description="the number of this one, from 1")] = MISSING
    size: Annotated[int | MISSING, Field(description="tasks on a page")] = MISSING
