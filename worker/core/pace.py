"""How often a producer wants updates (``aui-updates``), as a rule that takes the time.

An update that comes too early is held, replaced by a newer one, and let go when the interval
has passed: texts are cumulative, so nothing is lost by it.
"""

import re
from dataclasses import dataclass

INTERVAL = re.compile(r"([1-9][0-9]{0,5})ms")


@dataclass(frozen=True, slots=True)
class Pace:
    """At most one update per ``interval`` seconds; 0 is every one, None is none at all."""

    interval: float | None

    def due(self, last: float | None) -> float | None:
        """Return when the next update may go: a time, or None for never.

        Args:
            last: when the last one went, or None if none did.
        """
        if self.interval is None:
            return None
        return float("-inf") if last is None else last + self.interval


EVERY = Pace(0.0)
OFF = Pace(None)


def parse_pace(value: object) -> Pace | None:
    """Read ``every``, ``off`` or ``<n>ms`` (up to 999999); None if it is none of them."""
    if value == "every":
        return EVERY
    if value == "off":
        return OFF
    match = INTERVAL.fullmatch(value) if isinstance(value, str) else None
    return Pace(int(match[1]) / 1000) if match else None
