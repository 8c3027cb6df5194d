"""What a dead letter says on the outside: all that choosing, counting and ordering letters needs.

A letter is known by its *identity*, which stays the same when it is handed out again, copied by a
lost confirm, or replaced by an edited version of itself. Of several versions the last one counts.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from worker.core import headers as h
from worker.core.body import MAX_USER_ID_BYTES, cut, is_word
from worker.core.envelope import Envelope
from worker.core.reply import NO_TASK

UNKNOWN = "unknown"
"""The reason of what lies among the letters and is none."""
MAX_ERROR_CHARACTERS = 300
_LONGEST_READ = 64 * 1024
_WORDS = 4


@dataclass(frozen=True, slots=True)
class Head:
    """The outside of one letter.

    Attributes:
        identity: what it is known by.
        name: what people call it: the job id, with ``#2`` where there are several of that id.
        reason: a word of the verdict table; ``unknown`` of what no worker wrote.
        network: the network its job was for; empty if it does not say.
        channel: the label its producer set.
        task_id: the job's task, if it had one.
        user_id: the job's user, of a job without a task.
        job_id: may be that of several letters.
        died_at: when the letter was written, in UTC; None if it does not say.
        edited_at: when it was last edited, ISO 8601 in UTC; empty if it was not.
        error: one line of AUI's error, or of the worker's.
        replays: how often the job was sent again before.
        size: bytes of body and headers.
        place: its place in the queue, from 0.
        copies: how many messages it is: more than one after a lost confirm.
    """

    identity: str
    name: str
    reason: str
    network: str
    channel: str
    task_id: str | None
    user_id: str | None
    job_id: str
    died_at: datetime | None
    edited_at: str
    error: str
    replays: int
    size: int
    place: int = 0
    copies: int = 1

    @property
    def conversation(self) -> tuple[str, str]:
        """What its job must stay in order with: the jobs of the same task, or of the same user."""
        return self.network, self.task_id or f"user {self.user_id or self.job_id}"


def head_of(envelope: Envelope, place: int = 0) -> Head:
    """Read the outside of a letter; never raises, whatever lies in the queue."""
    headers = envelope.properties.headers
    words = envelope.routing_key.split(".")
    network, channel, task_id, reason = words if len(words) == _WORDS else ("", "", NO_TASK, "")
    job_id = envelope.properties.message_id or ""
    by_task = is_word(task_id) and task_id != NO_TASK
    return Head(
        identity=identity_of(envelope),
        name=job_id,
        reason=_text(headers.get(h.DEAD_REASON)) or reason or UNKNOWN,
        network=network if is_word(network) else "",
        channel=channel,
        task_id=task_id if by_task else None,
        user_id=None if by_task else _user_of(envelope.body),
        job_id=job_id,
        died_at=moment(headers.get(h.DEAD_AT)),
        edited_at=_text(headers.get(h.EDITED_AT)) if h.EDITED_FROM in headers else "",
        error=_error(headers.get(h.DEAD_ERROR)),
        replays=replays(headers),
        size=len(envelope.body) + h.size_of(headers),
        place=place,
    )


def identity_of(envelope: Envelope) -> str:
    """Return what a letter is known by, however often it is handed out, copied or edited."""
    headers = envelope.properties.headers
    before = headers.get(h.EDITED_FROM)
    if isinstance(before, str):
        return before
    digest = hashlib.blake2b(digest_size=16)
    told = (headers.get(h.DEAD_AT), headers.get(h.DEAD_WORKER))
    for part in (envelope.routing_key, envelope.properties.message_id, *map(_text, told)):
        digest.update(f"{part}\n".encode("utf-8", "replace"))
    digest.update(envelope.body)
    return digest.hexdigest()


def in_order(heads: Iterable[Head]) -> list[Head]:
    """Return each letter once, oldest first, by the name people call it.

    The order is that in which the jobs died, by the letters' own words: whoever looks into a queue
    of letters with another program may shuffle it.
    """
    newest: dict[str, Head] = {}
    for head in heads:
        known = newest.get(head.identity)
        if known is None:
            newest[head.identity] = head
        else:
            last = head if head.edited_at >= known.edited_at else known
            newest[head.identity] = replace(last, copies=known.copies + 1)
    ordered = sorted(newest.values(), key=_age)
    count: dict[str, int] = {}
    for head in ordered:
        count[head.job_id] = count.get(head.job_id, 0) + 1
    seen: dict[str, int] = {}
    named = []
    for head in ordered:
        number = seen[head.job_id] = seen.get(head.job_id, 0) + 1
        several = count[head.job_id] > 1 or not head.job_id
        named.append(replace(head, name=f"{head.job_id}#{number}") if several else head)
    return named


def conversations(heads: Sequence[Head]) -> list[list[Head]]:
    """Sort letters by conversation, each in its order; the one with the oldest letter first."""
    sorted_: dict[tuple[str, str], list[Head]] = {}
    for head in heads:
        sorted_.setdefault(head.conversation, []).append(head)
    return list(sorted_.values())


def replays(headers: Mapping[str, Any]) -> int:
    """Count how often a job was sent again."""
    count = headers.get(h.REPLAYS)
    return count if isinstance(count, int) and count > 0 else 0


def moment(value: object) -> datetime | None:
    """Read a time as letters tell it; None for what is none."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return told if told is None or told.tzinfo else told.replace(tzinfo=UTC)


def _age(head: Head) -> tuple[float, int]:
    return (head.died_at.timestamp() if head.died_at else float("inf")), head.place


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _user_of(body: bytes) -> str | None:
    """Return the user of a job by user, if its body can be read with little effort."""
    if len(body) > _LONGEST_READ:
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    user_id = fields.get("user_id") if isinstance(fields, dict) else None
    return cut(user_id, MAX_USER_ID_BYTES) if isinstance(user_id, str) else None


def _error(value: object) -> str:
    """Return one line of an error payload: its message, or all of it where it has none."""
    text = _text(value)
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = None
    if isinstance(payload, dict):
        words = [payload.get("message"), payload.get("description")]
        text = next((word for word in words if isinstance(word, str) and word), text)
    return " ".join(text.split())[:MAX_ERROR_CHARACTERS]
