"""Jobs that the broker itself gave up, as it dead-letters them: by ``x-death``.

Why and from which queue stands in the first entry of that header (RabbitMQ, "Dead Letter
Exchanges").
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.errors import InvalidJob
from worker.core.job import ATTEMPTS_PER_DELIVERY, attempt_base
from worker.core.topology import DELIVERY_LIMIT, network_of_queue
from worker.core.verdict import Source, Verdict, judge


def dropped_from(envelope: Envelope) -> tuple[Envelope, Verdict]:
    """Return a dropped job as it was on its own queue, and the verdict on it."""
    death = _first_death(envelope.properties.headers)
    queue, why = str(death.get("queue", "")), str(death.get("reason", ""))
    network = network_of_queue(queue) if queue else envelope.network
    if why == "expired":
        verdict = judge(Source.EXPIRED, detail=f"expired in {queue}")
    else:
        detail = f"dropped by the broker from {queue or 'a queue'}: {why or 'no reason given'}"
        verdict = judge(Source.DELIVERY_LIMIT, detail=detail)
    return replace(envelope, network=network), verdict


def base_of_dropped(envelope: Envelope) -> int:
    """Count the attempts that may have come before the broker gave up, at the most."""
    deliveries = max(envelope.delivery_count, DELIVERY_LIMIT + 1)
    try:
        earlier = attempt_base(replace(envelope, redelivered=False))
    except InvalidJob:
        earlier = 0
    return earlier + ATTEMPTS_PER_DELIVERY * deliveries


def _first_death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    deaths = headers.get(h.DEATHS)
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return deaths[0]
    return {}
