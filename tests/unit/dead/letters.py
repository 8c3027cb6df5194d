"""Letters for the tests, made as a worker makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.core.envelope import Envelope, Properties
from worker.core.job import Address
from worker.core.republish import AttemptRecord, Letter, copied, letter_headers, letter_key
from worker.core.verdict import Source, Verdict, judge

REFUSED = judge(Source.STATUS, 400, detail="not allowed")
NO_JOB = judge(Source.INVALID_JOB, detail="text: is missing")
BODY = b'{"task_id":"t-1","text":"a microwave","extra":1.50}'


def letter(
    job_id: str = "job",
    body: bytes = BODY,
    *,
    at: str = "2026-01-02T03:04:05.000+00:00",
    verdict: Verdict = REFUSED,
    attempts: Sequence[AttemptRecord] = (),
    headers: Mapping[str, Any] | None = None,
    task_id: str | None = "t-1",
    network: str = "acme",
    **properties: Any,
) -> Envelope:
    """Return a letter as it is handed out."""
    written = Letter(verdict, attempts, "half an ans", at, "worker-1")
    job = Properties(headers=dict(headers or {}), message_id=job_id, **properties)
    address = Address(network, job_id, job_id, "sms", task_id)
    return Envelope(
        network,
        body,
        letter_key(address, verdict.reason),
        copied(job, letter_headers(written)),
    )


def handed_out(one: Envelope, times: int) -> Envelope:
    """Return a letter as it is when it was handed out so often before."""
    headers = {**one.properties.headers, "x-delivery-count": times}
    return replace(one, properties=replace(one.properties, headers=headers), redelivered=times > 0)
