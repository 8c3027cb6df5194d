"""Dead letters: the job as it was, and why it could not be answered."""

from typing import Annotated, Any

from pydantic import MISSING, Field

from worker.contract.agent import MAX_STATUS
from worker.contract.fields import Open, Reason, constant
from worker.contract.replies import PERSISTENT
from worker.core import headers as h
from worker.core.republish import MAX_ATTEMPTS_BYTES, MAX_ERROR_BYTES, MAX_TEXT_BYTES


class LetterHeaders(Open):
    """What the worker adds; the job's own headers stay, some of them under aui-orig-*."""

    reason: Annotated[Reason, Field(alias=h.DEAD_REASON, description="a word of the verdict table")]
    error: Annotated[
        str,
        Field(
            alias=h.DEAD_ERROR,
            description=f"AUI's error payload as JSON, at most {MAX_ERROR_BYTES} bytes",
        ),
    ]
    attempts: Annotated[
        str,
        Field(
            alias=h.DEAD_ATTEMPTS,
            max_length=MAX_ATTEMPTS_BYTES,
            description="a JSON array, oldest first: at, attempt, phase, what, detail",
        ),
    ]
    text: Annotated[
        str,
        Field(
            alias=h.DEAD_TEXT,
            max_length=MAX_TEXT_BYTES,
            description=f"the text received so far, at most {MAX_TEXT_BYTES} bytes",
        ),
    ]
    at: Annotated[str, Field(alias=h.DEAD_AT, description="when, ISO 8601 in UTC")]
    worker: Annotated[str, Field(alias=h.DEAD_WORKER, description="which worker wrote it")]
    status_code: Annotated[
        int | MISSING,
        Field(alias=h.DEAD_STATUS_CODE, ge=0, le=MAX_STATUS, description="AUI's HTTP status"),
    ] = MISSING
    close_code: Annotated[
        int | MISSING,
        Field(alias=h.DEAD_CLOSE_CODE, description="the WebSocket close code AUI sent"),
    ] = MISSING
    replays: Annotated[
        int | MISSING,
        Field(alias=h.REPLAYS, ge=1, description="how often it was sent again from here"),
    ] = MISSING
    edited_at: Annotated[
        str | MISSING, Field(alias=h.EDITED_AT, description="when it was edited, ISO 8601 in UTC")
    ] = MISSING
    edited_from: Annotated[
        str | MISSING,
        Field(alias=h.EDITED_FROM, description="the identity of the letter that it replaced"),
    ] = MISSING


class LetterProperties(Open):
    """The job's own AMQP properties, but for user_id and expiration, which move to aui-orig-*."""

    message_id: Annotated[
        str, Field(min_length=1, description="the job id: the job's own, or the worker's")
    ]
    delivery_mode: Annotated[int, constant(PERSISTENT)]


LetterBody = Any
"""Whatever was published as a job, untouched: it may not even be JSON."""
