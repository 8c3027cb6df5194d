"""Replies as a subscriber sees them, and the rule that drops what is late or repeated."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.reply import TYPES, ReplyKind

REMEMBERED = 10_000
_END = (inf, inf)
_KINDS = {name: kind for kind, name in TYPES.items()}


@dataclass(frozen=True, slots=True)
class ReceivedReply:
    """One reply.

    Attributes:
        kind: update, final, failed, retrying or created.
        task_id: the task it is about.
        job_id: the job it is about.
        attempt: the attempt it belongs to.
        seq: its place in that attempt.
        body: the JSON object, in AUI's own shapes.
        headers: all headers.
    """

    kind: ReplyKind
    task_id: str
    job_id: str
    attempt: int
    seq: int
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, Any] = field(repr=False)

    @property
    def terminal(self) -> bool:
        """It ends the job."""
        return self.kind in (ReplyKind.FINAL, ReplyKind.FAILED)

    @property
    def text(self) -> str:
        """The text so far, or of the whole answer; empty in other kinds."""
        held = self.body.get("data") if self.kind is ReplyKind.UPDATE else self.body
        text = held.get("text") if isinstance(held, Mapping) else None
        return text if isinstance(text, str) else ""


def read_reply(envelope: Envelope) -> ReceivedReply | None:
    """Read a reply out of a message; None if it is none."""
    kind = _KINDS.get(envelope.properties.type or "")
    headers = envelope.properties.headers
    attempt, seq = headers.get(h.ATTEMPT), headers.get(h.SEQ)
    if kind is None or not isinstance(attempt, int) or not isinstance(seq, int):
        return None
    try:
        body = json.loads(envelope.body)
    except ValueError:
        return None
    return ReceivedReply(
        kind=kind,
        task_id=str(headers.get(h.TASK_ID, "")),
        job_id=str(headers.get(h.JOB_ID, "")),
        attempt=attempt,
        seq=seq,
        body=body if isinstance(body, dict) else {},
        headers=headers,
    )


class Newest:
    """Tells what is news about each job: keep the highest (attempt, seq), and the first end.

    The jobs heard of last are remembered, 10,000 of them.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def is_news(self, reply: ReceivedReply) -> bool:
        """Tell whether a reply is newer than all before it, and remember it."""
        job, place = (reply.task_id, reply.job_id), (reply.attempt, reply.seq)
        if place <= self._seen.get(job, (0, 0)):
            return False
        self._seen[job] = _END if reply.terminal else place
        self._seen.move_to_end(job)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
