"""When a job expires: its producer's ``expiration``, kept also where the broker does not see to it.

The broker drops what expires in a queue. A job that was handed to a worker and waits there, or a
forwarded copy, which may not carry the property, is past the broker's care.
"""

import re

from worker.core import headers as h
from worker.core.envelope import Properties

_MILLISECONDS = re.compile(r"[0-9]{1,12}")


def expires_at(properties: Properties, received: float) -> float | None:
    """Return when a job expires, in seconds since 1970; None for never.

    It is counted from its timestamp, or from its receipt where the timestamp cannot be true: the
    broker would have dropped it then, or it would be from the future.

    Args:
        properties: those of the job.
        received: when it was received, in seconds since 1970.
    """
    told = properties.headers.get(h.EXPIRES_AT)
    if isinstance(told, int) and not isinstance(told, bool):
        return float(told)
    expiration = properties.expiration or ""
    if _MILLISECONDS.fullmatch(expiration) is None:
        return None
    seconds = int(expiration) / 1000
    published = properties.timestamp.timestamp() if properties.timestamp else received
    return (published if received - seconds <= published <= received else received) + seconds
