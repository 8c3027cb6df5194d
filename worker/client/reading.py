"""Reads replies out of messages."""

import json
from collections.abc import Mapping

from worker.client.replies import Answer, Created, Failed, Final, Reply, Retrying, Update
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.reply import TYPES, ReplyKind

_CLASSES: Mapping[str, type[Reply]] = {
    **{TYPES[each.kind]: each for each in (Update, Final, Failed, Retrying, Created) if each.kind},
    TYPES[ReplyKind.LISTED]: Answer,
    TYPES[ReplyKind.MESSAGES]: Answer,
}


def read_reply(envelope: Envelope) -> Reply | None:
    """Read a reply out of a message; None if it is none."""
    properties, headers = envelope.properties, envelope.properties.headers
    made = _CLASSES.get(properties.type or "")
    attempt, seq = headers.get(h.ATTEMPT), headers.get(h.SEQ)
    if made is None or not isinstance(attempt, int) or not isinstance(seq, int):
        return None
    try:
        body = json.loads(envelope.body)
    except (ValueError, RecursionError):
        return None
    words = envelope.routing_key.split(".")
    from_hub = len(words) == 4 and words[3] == made.kind
    network, channel = words[:2] if from_hub else ("", "")
    user, job_id = headers.get(h.USER_ID), str(headers.get(h.JOB_ID, ""))
    return made(
        task_id=str(headers.get(h.TASK_ID, "")),
        job_id=job_id,
        network=network,
        channel=channel,
        user_id=None if user is None else str(user),
        correlation_id=properties.correlation_id or job_id,
        attempt=attempt,
        seq=seq,
        body=body,
        raw=envelope.body,
        headers=headers,
    )
