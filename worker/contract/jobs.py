"""What producers publish: as strict as the worker, and open where it lets pass what it is given."""

from typing import Annotated, Any, Literal

from pydantic import MISSING, ConfigDict, Field

from worker.contract.fields import (
    Count,
    JobId,
    Open,
    Seconds,
    Short,
    Spoken,
    UserId,
    Word,
)
from worker.core import headers as h
from worker.core.conversation import PAGE_SIZE
from worker.core.job import MAX_ATTEMPT_BASE, MAX_PAGE, MAX_PAGE_SIZE
from worker.core.job_properties import (
    DEFAULT_CHANNEL,
    MAX_JOB_ID_BYTES,
    MAX_TRACESTATE,
    TRACEPARENT,
    JobRules,
)
from worker.core.operation import Operation
from worker.core.pace import INTERVAL

RULES = JobRules()
_REPLY_TO = (
    "the queue that the replies also go to, or direct reply-to; the operator may allow others "
    "(WORKER_REPLY_TO_PATTERN)"
)


class Context(Open):
    """What AUI may know of the user's whereabouts; only where your contact at AUI wants it."""

    url: Annotated[
        str | MISSING | None, Field(description="the page the user is on; passed on, never opened")
    ] = MISSING
    lead_details: Annotated[
        dict[str, Any] | MISSING | None, Field(description="what is known of the customer")
    ] = MISSING


class JobByTask(Open):
    """AUI's message request. Further fields reach AUI untouched."""

    task_id: Annotated[Word, Field(description="the conversation")]
    text: Annotated[Spoken, Field(description="the user's message; valid Unicode, not blank")]
    user_id: Annotated[
        UserId | MISSING,
        Field(description=f"echoed in {h.USER_ID}; at most 256 bytes of UTF-8"),
    ] = MISSING
    context: Context | MISSING | None = MISSING


class JobByUser(Open):
    """The same without a task: the worker continues the user's latest one, or makes one."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["task_id"]}})

    user_id: Annotated[
        UserId, Field(description="whoever it is: a phone number will do; 256 bytes of UTF-8")
    ]
    text: Annotated[Spoken, Field(description="the user's message; valid Unicode, not blank")]
    context: Context | MISSING | None = MISSING


MessageJob = JobByTask | JobByUser


class TaskCreation(Open):
    """Whom to make a task for."""

    user_id: UserId


class TaskListing(Open):
    """Whose tasks are wanted."""

    user_id: UserId
    page: Annotated[
        int | MISSING | None, Field(ge=1, le=MAX_PAGE, description="which page: 1 where absent")
    ] = MISSING
    size: Annotated[
        int | MISSING | None,
        Field(ge=1, le=MAX_PAGE_SIZE, description=f"tasks on a page: {PAGE_SIZE} where absent"),
    ] = MISSING


class TaskReading(Open):
    """Which task's messages are wanted."""

    task_id: Word


class RequestHeaders(Open):
    """The headers that any job may have."""

    channel: Annotated[
        Word | MISSING,
        Field(
            alias=h.CHANNEL,
            description=f"a label for subscribers, a word of their routing keys "
            f"({DEFAULT_CHANNEL})",
            examples=["web", "sms", "whatsapp"],
        ),
    ] = MISSING
    traceparent: Annotated[
        Any,
        Field(
            alias=h.TRACEPARENT,
            description=f"W3C trace context, {TRACEPARENT.pattern}; dropped if malformed",
        ),
    ] = MISSING
    tracestate: Annotated[
        Any,
        Field(
            alias=h.TRACESTATE,
            description=f"W3C trace context, at most {MAX_TRACESTATE} characters; else dropped",
        ),
    ] = MISSING
    attempt_base: Annotated[
        Count | MISSING,
        Field(
            alias=h.ATTEMPT_BASE,
            le=MAX_ATTEMPT_BASE,
            description="attempts made before, on a copy; producers leave it out",
        ),
    ] = MISSING
    maybe_sent: Annotated[
        bool | MISSING,
        Field(
            alias=h.MAYBE_SENT,
            description="the message may have been sent before, on a copy; producers leave it out",
        ),
    ] = MISSING
    expires_at: Annotated[
        Any,
        Field(
            alias=h.EXPIRES_AT,
            description="when it expires, in seconds since 1970, on a copy; producers leave it out",
        ),
    ] = MISSING


class MessageHeaders(RequestHeaders):
    """The headers of a message to the agent."""

    updates: Annotated[
        str | MISSING,
        Field(
            alias=h.UPDATES,
            pattern=f"^(every|off|{INTERVAL.pattern})$",
            description="every update (the default), none, or at most one per interval",
            examples=["every", "off", "250ms"],
        ),
    ] = MISSING
    conversation: Annotated[
        Literal["latest", "new"] | MISSING,
        Field(
            alias=h.CONVERSATION,
            description="of a job by user: its latest task (the default), or a new one",
        ),
    ] = MISSING


class JobProperties(Open):
    """The AMQP properties of a job; others are the producer's own affair."""

    message_id: Annotated[
        JobId | MISSING,
        Field(
            description=f"the job id, at most {MAX_JOB_ID_BYTES} bytes of UTF-8: a wamid or "
            "MessageSid is ideal. A second job of a task with the id of a completed one gets "
            "its reply again. Missing: the worker makes one, which never matches",
        ),
    ] = MISSING
    correlation_id: Annotated[
        Short | MISSING, Field(description="echoed on every reply; the job id where absent")
    ] = MISSING
    reply_to: Annotated[
        str | MISSING, Field(pattern=RULES.reply_to.pattern, description=_REPLY_TO)
    ] = MISSING
    delivery_mode: Annotated[
        Literal[1, 2] | MISSING, Field(description="2: a transient job may be lost with its broker")
    ] = MISSING
    expiration: Annotated[
        str | MISSING,
        Field(
            pattern="^[0-9]+$",
            description="milliseconds that it may wait before it is sent; then it ends as expired",
        ),
    ] = MISSING
    timestamp: Annotated[
        Seconds | MISSING,
        Field(
            description="when it was published, in seconds since 1970: set it, it tells equal "
            "texts apart after a crash"
        ),
    ] = MISSING
    content_type: Annotated[
        Short | MISSING, Field(description="not looked at: a body is JSON in UTF-8")
    ] = MISSING


class SendProperties(JobProperties):
    """The AMQP properties of a message whose answer is streamed."""

    type: Annotated[
        Literal[Operation.SEND] | MISSING, Field(description="the default, so it may be left out")
    ] = MISSING


class PostProperties(JobProperties):
    """The AMQP properties of a message that is answered whole."""

    type: Literal[Operation.POST]


class RequestProperties(JobProperties):
    """The AMQP properties of a question about tasks: without reply_to nobody could be answered."""

    reply_to: Annotated[str, Field(pattern=RULES.reply_to.pattern, description=_REPLY_TO)]


class CreateProperties(RequestProperties):
    """The AMQP properties of a request to make a task."""

    type: Literal[Operation.CREATE]


class ListProperties(RequestProperties):
    """The AMQP properties of a request for a user's tasks."""

    type: Literal[Operation.LIST]


class ReadProperties(RequestProperties):
    """The AMQP properties of a request for a task's messages."""

    type: Literal[Operation.MESSAGES]
