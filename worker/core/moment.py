"""AUI's timestamps, as seconds since 1970.

AUI writes them with a ``Z``, without a zone, and with a space for the ``T``; all mean UTC.
"""

from datetime import UTC, datetime


def seconds_of(written: object) -> float | None:
    """Read a timestamp as AUI writes it; None for what is none."""
    if not isinstance(written, str):
        return None
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:
        return None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return zoned.timestamp()
