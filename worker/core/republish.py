"""Copies of a job: dead letters and forwards, whose properties may not stay as they were.

``user_id`` closes the channel of another user, ``expiration`` evaporates the copy, ``CC`` and
``BCC`` duplicate it, and the broker's own ``x-*`` headers mean something on a fresh publish.
All of them move to ``aui-orig-*``; everything else stays.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from worker.core import headers as h
from worker.core.body import cut
from worker.core.envelope import Envelope, Properties
from worker.core.job import Address
from worker.core.reply import NO_TASK, failure_of
from worker.core.verdict import Verdict
from worker.core.wire import failure_payload

MAX_KEPT_BYTES = 48 * 1024
"""All a valid job's own headers, and the broker's as far as they fit into one frame with ours."""
MAX_TEXT_BYTES = 16 * 1024
MAX_ERROR_BYTES = 16 * 1024
MAX_ATTEMPTS_BYTES = 16 * 1024
MAX_DETAIL_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 32
MAX_FLOAT = 3.4028234663852886e38
"""The client library writes 32-bit floats, and fails on a larger one."""
_MOVED = ("CC", "BCC")


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What became of one attempt; kept in the dead letter.

    Attributes:
        at: when it ended, ISO 8601 in UTC.
        attempt: its number.
        phase: how far it came: connecting, waiting, streaming.
        what: the reason word of its verdict.
        detail: one line for people.
    """

    at: str
    attempt: int
    phase: str
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """Why a job could not be answered, as the dead letter says it."""

    verdict: Verdict
    attempts: Sequence[AttemptRecord]
    text: str
    at: str
    worker: str


def copied(properties: Properties, added: Mapping[str, Any]) -> Properties:
    """Return the properties a copy of a job is published with.

    Args:
        properties: those of the original.
        added: headers to add; they win over the original's.
    """
    kept: dict[str, Any] = {}
    for name, value in properties.headers.items():
        moved = name in _MOVED or name.startswith("x-")
        name = h.ORIGINAL + name if moved else name
        if len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES:
            kept[name] = encodable(value)
    kept = _bounded(kept)
    for name, value in (("user_id", properties.user_id), ("expiration", properties.expiration)):
        if value is not None:
            kept[h.ORIGINAL + name] = value
    return replace(properties, headers={**kept, **added}, user_id=None, expiration=None)


def forwarded(envelope: Envelope, attempt_base: int, expires_at: float | None = None) -> Properties:
    """Return the properties of a copy on its way to another queue.

    A copy made from a redelivery may be the second one, so it says that the message may have
    been sent already.

    Args:
        envelope: the job.
        attempt_base: attempts made so far.
        expires_at: when it expires, in seconds since 1970, if it does.
    """
    added: dict[str, Any] = {h.ATTEMPT_BASE: attempt_base}
    if expires_at is not None:
        added[h.EXPIRES_AT] = math.ceil(expires_at)
    if envelope.redelivered or envelope.delivery_count:
        added[h.MAYBE_SENT] = True
    return copied(envelope.properties, added)


def letter_key(address: Address, reason: str) -> str:
    """Return the routing key of a dead letter: ``<network>.<channel>.<task_id or _>.<reason>``."""
    return f"{address.network}.{address.channel}.{address.task_id or NO_TASK}.{reason}"


def letter_headers(letter: Letter) -> dict[str, Any]:
    """Return the headers that a dead letter adds; each is bounded, 64 KiB in all."""
    verdict = letter.verdict
    headers: dict[str, Any] = {
        h.DEAD_REASON: verdict.reason,
        h.DEAD_ERROR: _error(verdict),
        h.DEAD_ATTEMPTS: _attempts(letter.attempts),
        h.DEAD_TEXT: cut(letter.text, MAX_TEXT_BYTES),
        h.DEAD_AT: letter.at,
        h.DEAD_WORKER: letter.worker,
    }
    if verdict.status_code is not None:
        headers[h.DEAD_STATUS_CODE] = verdict.status_code
    if verdict.close_code is not None:
        headers[h.DEAD_CLOSE_CODE] = verdict.close_code
    return headers


def _error(verdict: Verdict) -> str:
    """Return AUI's payload; of one that is too large only the message, as JSON still."""
    payload = failure_of(verdict)
    if len(payload) > MAX_ERROR_BYTES:
        message = cut(verdict.detail, MAX_ERROR_BYTES // 8)
        payload = failure_payload(verdict.status_code, message, {"cut": True})
    return payload.decode("utf-8", "replace")


def encodable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a header value that any AMQP client can send again, as like it as can be."""
    match value:
        case dict() | list() | tuple() if depth == 0:
            return repr(value)
        case dict():
            return {
                cut(str(name), MAX_NAME_BYTES): encodable(item, depth - 1)
                for name, item in value.items()
            }
        case list() | tuple():
            return [encodable(item, depth - 1) for item in value]
        case _:
            return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case None | bool() | datetime() | bytearray():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case float():
            return str(value) if MAX_FLOAT < abs(value) < math.inf else value
        case bytes():
            return bytearray(value)
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case Decimal():
            return str(value)
        case _:
            return repr(value)


def _bounded(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what would not fit into one frame with ours: moved headers first, the largest."""
    sized = sorted(
        (name.startswith(h.ORIGINAL), h.size_of({name: value}), name)
        for name, value in headers.items()
    )
    kept, total = dict(headers), sum(size for _, size, _ in sized)
    while total > MAX_KEPT_BYTES:
        _, size, name = sized.pop()
        total -= size
        del kept[name]
    return kept


def _attempts(attempts: Sequence[AttemptRecord]) -> str:
    """Write the attempts as JSON, the oldest left out where they are too many."""
    rows = [asdict(row) | {"detail": cut(row.detail, MAX_DETAIL_BYTES)} for row in attempts]
    written = json.dumps(rows)
    while len(written) > MAX_ATTEMPTS_BYTES:
        rows.pop(0)
        written = json.dumps(rows)
    return written
