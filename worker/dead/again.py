"""How a letter becomes a job again.

It goes back to the partition of its conversation, as its producer published it but for this:

* ``aui-dead-*`` and what the broker noted of the old life (``aui-orig-x-*``) are gone.
* It does not expire: its time has passed already, and it would evaporate.
* Its attempts are numbered behind all that were made. Each time a letter was handed out may have
  been a replay that was killed before it could take the letter away, so that counts, too.
* It says that the message may have been sent, so the worker looks into the task's history before it
  asks. Always: even of a message that never left, an earlier replay may have been killed after it
  had sent the job on, and then the answer is there. What this costs is a few seconds of looking
  where the history does not have the message, and 30 where it has it without an answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.core.errors import InvalidJob
from worker.core.job import ATTEMPTS_PER_DELIVERY, MAX_ATTEMPT_BASE, address_of, decode
from worker.core.job_properties import JobRules
from worker.core.republish import copied, encodable
from worker.core.slots import slot_of
from worker.core.topology import DELIVERY_LIMIT, jobs_exchange
from worker.dead.head import Head, head_of, identity_of, replays

_DEAD = "aui-dead-"
_OLD_LIFE = h.ORIGINAL + "x-"
INVALID = "invalid_job"


@dataclass(frozen=True, slots=True)
class Again:
    """A job on its way back: where to, and with which properties."""

    exchange: str
    slot: str
    body: bytes
    properties: Properties


def again(letter: Envelope, rules: JobRules) -> Again:
    """Return the job that a letter becomes.

    Args:
        letter: the letter, of a network that is known.
        rules: the contract's limits.
    """
    head = head_of(letter)
    address = address_of(letter, rules, lambda: head.job_id)
    key = address.task_id or address.user_id or head.job_id
    properties = letter.properties
    kept = {name: value for name, value in properties.headers.items() if _stays(name)}
    added: dict[str, Any] = {
        h.ATTEMPT_BASE: attempts_made(letter),
        h.MAYBE_SENT: True,
        h.REPLAYS: replays(properties.headers) + 1,
    }
    return Again(
        jobs_exchange(head.network),
        slot_of(key),
        letter.body,
        copied(replace(properties, headers=kept), added),
    )


def unfit(head: Head, *, force: bool = False) -> str | None:
    """Say why a letter is not to be sent again, or None.

    Args:
        head: its outside.
        force: also what was no job, as it is.
    """
    if not head.network:
        return "no worker wrote it: it does not say which network it is for"
    if head.reason == INVALID and not head.edited_at and not force:
        return "it was no job, and would be none again: edit it first (or --force)"
    return None


def attempts_made(letter: Envelope) -> int:
    """Return the number that no attempt at a letter's job is above."""
    headers = letter.properties.headers
    deliveries = _count(headers.get(h.ORIGINAL + h.DELIVERY_COUNT))
    if h.ORIGINAL + h.DEATHS in headers:  # the broker had given it up, see core.dropped
        deliveries = max(deliveries, DELIVERY_LIMIT + 1)
    base = _count(headers.get(h.ATTEMPT_BASE)) + ATTEMPTS_PER_DELIVERY * (deliveries + 1)
    last: int = max(base, *(row["attempt"] for row in attempts(headers)), 0)
    return min(last + ATTEMPTS_PER_DELIVERY * letter.delivery_count, MAX_ATTEMPT_BASE)


def attempts(headers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the attempts that a letter tells of; what cannot be read is left out."""
    try:
        rows = json.loads(headers.get(h.DEAD_ATTEMPTS, "[]"))
    except (TypeError, ValueError, RecursionError):
        return []
    return [
        row
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("attempt"), int)
    ]


def edited(letter: Envelope, body: bytes, at: str) -> Envelope:
    """Return the letter that replaces another one: the same, with another body.

    Args:
        letter: the letter as it is.
        body: the new body.
        at: when, ISO 8601 in UTC.
    """
    headers = {
        name: encodable(value)
        for name, value in letter.properties.headers.items()
        if not name.startswith("x-")
    }
    headers |= {h.EDITED_AT: at, h.EDITED_FROM: identity_of(letter)}
    properties = replace(letter.properties, headers=headers, user_id=None, expiration=None)
    return replace(letter, body=body, properties=properties)


def check(letter: Envelope, rules: JobRules) -> None:
    """Look at a letter's job as a worker would.

    Raises:
        InvalidJob: it breaks the contract; the error names the first field that does.
    """
    if not head_of(letter).network:
        raise InvalidJob("routing key", "names no network")
    job = again(letter, rules)
    envelope = Envelope(head_of(letter).network, job.body, job.slot, job.properties)
    decode(envelope, rules, lambda: "job")


def with_text(body: bytes, text: str) -> bytes:
    """Put another text into a job's body; all other fields keep their values.

    Raises:
        InvalidJob: it is no JSON object.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidJob("body", "is no JSON object to put a text into: give a whole body")
    changed = fields | {"text": text}
    try:
        return json.dumps(changed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # half an emoji in another field: it stays as it is, escaped
        return json.dumps(changed).encode("ascii")


def _stays(name: str) -> bool:
    gone = name.startswith((_DEAD, _OLD_LIFE, "x-")) or name in (h.EXPIRES_AT, h.EDITED_FROM)
    return not gone


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
