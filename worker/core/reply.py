"""Replies: what goes out about a job, numbered so that a subscriber can drop a repeat.

Text is cumulative, so a subscriber that keeps the highest (attempt, seq) is always right; a
terminal reply beats any update.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from worker.core import headers as h
from worker.core.job import Address
from worker.core.update import UPDATED, Update
from worker.core.verdict import Verdict
from worker.core.wire import failure_payload

SCHEMA = 1
NO_TASK = "_"
"""The routing-key word in place of a task that is not known."""


class ReplyKind(StrEnum):
    """The last word of a reply's routing key."""

    UPDATE = "update"
    FINAL = "final"
    FAILED = "failed"
    RETRYING = "retrying"
    CREATED = "created"
    LISTED = "listed"
    MESSAGES = "messages"


TYPES: Mapping[ReplyKind, str] = {
    ReplyKind.UPDATE: "message.updated",
    ReplyKind.FINAL: "message.completed",
    ReplyKind.FAILED: "message.failed",
    ReplyKind.RETRYING: "message.retrying",
    ReplyKind.CREATED: "task.created",
    ReplyKind.LISTED: "task.listed",
    ReplyKind.MESSAGES: "task.messages",
}


_NO_MORE: Mapping[str, Any] = MappingProxyType({})
_BEFORE_TEXT, _AFTER_TEXT = b'{"event":"%s","data":{"text":' % UPDATED.encode("ascii"), b"}}"


class Reply(Struct, frozen=True):
    """One message to the subscribers of a task.

    Attributes:
        kind: what it says; decides routing key, AMQP type and persistence.
        address: who it is for.
        body: JSON, in AUI's own shapes.
        attempt: the attempt it belongs to, never restarting for a job.
        seq: its place within the attempt, from 1.
        extra: headers beyond the ones every reply carries.
        on_hub: it goes to the hub; otherwise only to the job's ``reply_to``.
    """

    kind: ReplyKind
    address: Address
    body: bytes
    attempt: int
    seq: int
    extra: Mapping[str, Any] = _NO_MORE
    on_hub: bool = True

    def __repr__(self) -> str:
        return f"<Reply {self.message_id} {self.kind}>"

    @property
    def routing_key(self) -> str:
        """``<network>.<channel>.<task_id>.<kind>``; ``_`` where a user's task was not found."""
        to = self.address
        return f"{to.network}.{to.channel}.{to.task_id or NO_TASK}.{self.kind}"

    @property
    def message_id(self) -> str:
        """``<job id>:<attempt>:<seq>``: unique per publish, the same when it is repeated."""
        return f"{self.address.job_id}:{self.attempt}:{self.seq}"

    @property
    def type(self) -> str:
        """The AMQP type property."""
        return TYPES[self.kind]

    @property
    def terminal(self) -> bool:
        """It ends the job."""
        return self.kind in (ReplyKind.FINAL, ReplyKind.FAILED)

    def readdressed(self, address: Address) -> "Reply":
        """Return the same reply to somebody else."""
        return structs.replace(self, address=address)

    def noting(self, extra: Mapping[str, Any]) -> "Reply":
        """Return the same reply with more headers."""
        return structs.replace(self, extra={**self.extra, **extra})

    @property
    def headers(self) -> dict[str, Any]:
        """All AMQP headers."""
        to = self.address
        headers: dict[str, Any] = {
            h.JOB_ID: to.job_id,
            h.ATTEMPT: self.attempt,
            h.SEQ: self.seq,
            h.SCHEMA: SCHEMA,
            **to.trace,
            **self.extra,
        }
        if to.task_id is not None:
            headers[h.TASK_ID] = to.task_id
        if to.user_id is not None:
            headers[h.USER_ID] = to.user_id
        return headers


class Replies:
    """Numbers the replies about one job: attempts from a base, seq from 1 within each.

    Args:
        address: who they are for.
        base: attempts made before, under earlier deliveries and copies.
        on_hub: whether the subscribers of the hub are told, or only the job's ``reply_to``.
    """

    __slots__ = (
        "address",
        "attempt",
        "on_hub",
        "seq",
    )

    def __init__(self, address: Address, base: int, *, on_hub: bool = True) -> None:
        self.address = address
        self.attempt = base
        self.seq = 0
        self.on_hub = on_hub

    def about_task(self, task_id: str) -> None:
        """Name the task, now that it is known; what follows is about it."""
        self.address = replace(self.address, task_id=task_id)

    def begin_attempt(self) -> None:
        """Start the next attempt."""
        self.attempt += 1
        self.seq = 0

    def update(self, update: Update) -> Reply:
        """Say how far the text has come."""
        return self._next(ReplyKind.UPDATE, _BEFORE_TEXT + update.literal + _AFTER_TEXT)

    def final(self, raw: bytes, *, recovered: bool = False) -> Reply:
        """Hand on the agent's whole answer, byte for byte; perhaps found in the history."""
        return self._next(ReplyKind.FINAL, raw, {h.RECOVERED: True} if recovered else None)

    def failed(self, verdict: Verdict) -> Reply:
        """Say that no answer will come, and why."""
        return self._next(ReplyKind.FAILED, failure_of(verdict), {h.REASON: verdict.reason})

    def retrying(self, verdict: Verdict, seconds: float) -> Reply:
        """Say that the text of this attempt is void and another follows in ``seconds``."""
        extra = {h.REASON: verdict.reason, h.RETRY_IN: round(seconds, 3)}
        return self._next(ReplyKind.RETRYING, failure_of(verdict), extra)

    def created(self, task: bytes) -> Reply:
        """Announce the task that was made: AUI's task object."""
        return self._next(ReplyKind.CREATED, task)

    def listed(self, page: bytes) -> Reply:
        """Hand on a page of a user's tasks."""
        return self._next(ReplyKind.LISTED, page)

    def messages(self, history: bytes) -> Reply:
        """Hand on what was said in a task: an array of AUI's messages, oldest first."""
        return self._next(ReplyKind.MESSAGES, history)

    def _next(self, kind: ReplyKind, body: bytes, extra: Mapping[str, Any] | None = None) -> Reply:
        self.seq += 1
        return Reply(
            kind, self.address, body, self.attempt, self.seq, extra or _NO_MORE, self.on_hub
        )


def failure_of(verdict: Verdict) -> bytes:
    """Return AUI's error payload, or one made up in its shape where AUI sent none."""
    if verdict.error is not None:
        return verdict.error
    extra = {"reason": verdict.reason}
    message = verdict.detail or verdict.reason
    return failure_payload(
        verdict.status_code, message, extra, description=verdict.reason.replace("_", " ")
    )
