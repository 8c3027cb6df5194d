"""The headers and AMQP properties of what the worker publishes: open, for more may come."""

from typing import Annotated

from pydantic import MISSING, Field

from worker.contract.fields import (
    Count,
    JobId,
    Open,
    Reason,
    Seconds,
    Short,
    Traceparent,
    Tracestate,
    Word,
    constant,
)
from worker.core import headers as h
from worker.core.body import MAX_USER_ID_BYTES
from worker.core.reply import SCHEMA

PERSISTENT, TRANSIENT = 2, 1
_REASON = "why, in a word of the verdict table; others may come, so be ready for one you don't know"


class ReplyHeaders(Open):
    """The headers of every reply."""

    job_id: Annotated[JobId, Field(alias=h.JOB_ID, description="the job it is about")]
    attempt: Annotated[
        Count,
        Field(alias=h.ATTEMPT, description="the attempt it belongs to; never restarts for a job"),
    ]
    seq: Annotated[
        int,
        Field(alias=h.SEQ, ge=1, description="its place in the attempt; gaps may be left"),
    ]
    contract: Annotated[
        int, constant(SCHEMA), Field(alias=h.SCHEMA, description="the version of this contract")
    ]
    task_id: Annotated[
        Word | MISSING, Field(alias=h.TASK_ID, description="the task, where it is known")
    ] = MISSING
    user_id: Annotated[
        str | MISSING,
        Field(
            alias=h.USER_ID,
            max_length=MAX_USER_ID_BYTES,
            description="the user, where the job named one",
        ),
    ] = MISSING
    traceparent: Annotated[Traceparent | MISSING, Field(alias=h.TRACEPARENT)] = MISSING
    tracestate: Annotated[Tracestate | MISSING, Field(alias=h.TRACESTATE)] = MISSING


class TaskHeaders(ReplyHeaders):
    """The headers of a reply about a task."""

    task_id: Annotated[Word, Field(alias=h.TASK_ID, description="the task")]


class UpdateHeaders(TaskHeaders):
    """The headers of an update."""


class Unclaimed(Open):
    """What a reply that nobody could take has in addition, in the queue aui.unclaimed."""

    unclaimed_reason: Annotated[
        str | MISSING,
        Field(
            alias=h.UNCLAIMED_REASON,
            description="nobody was bound, or a subscriber's queue refused it",
            examples=["unrouted", "refused"],
        ),
    ] = MISSING
    unclaimed_key: Annotated[
        str | MISSING, Field(alias=h.UNCLAIMED_KEY, description="the routing key it had")
    ] = MISSING


class FinalHeaders(Unclaimed, TaskHeaders):
    """The headers of a final."""

    recovered: Annotated[
        bool | MISSING,
        constant(True),
        Field(
            alias=h.RECOVERED,
            description="the answer was found in the task's history, not heard as it came",
        ),
    ] = MISSING


class FailedHeaders(Unclaimed, ReplyHeaders):
    """The headers of a failure."""

    reason: Annotated[Reason, Field(alias=h.REASON, description=_REASON)]


class RetryingHeaders(ReplyHeaders):
    """The headers of the word that an attempt is void."""

    reason: Annotated[Reason, Field(alias=h.REASON, description=_REASON)]
    retry_in: Annotated[
        float, Field(alias=h.RETRY_IN, ge=0, description="seconds until the next attempt")
    ]


class CreatedHeaders(ReplyHeaders):
    """The headers of a new task."""


class ListedHeaders(ReplyHeaders):
    """The headers of a user's tasks."""


class HistoryHeaders(ReplyHeaders):
    """The headers of a task's messages."""


class ReplyProperties(Open):
    """The AMQP properties of a reply."""

    correlation_id: Annotated[Short, Field(description="that of the job, or its id")]
    message_id: Annotated[
        Short,
        Field(
            pattern=":[0-9]+:[0-9]+$",
            description="<job id>:<attempt>:<seq>, the same when a reply is repeated",
        ),
    ]
    content_type: Annotated[str, constant("application/json")]
    timestamp: Annotated[Seconds, Field(description="when it was published")]
