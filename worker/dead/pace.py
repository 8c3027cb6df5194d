"""How fast letters are sent again: a rate as people write it."""

import re

_RATE = re.compile(r"([0-9]{1,6})(?:/([sm]))?")
_SECONDS = {"s": 1.0, "m": 60.0, None: 1.0}


def interval_of(rate: str) -> float:
    """Return the seconds from one to the next: ``5`` and ``5/s`` are 0.2, ``30/m`` is 2.

    Raises:
        ValueError: it is no rate.
    """
    told = _RATE.fullmatch(rate.strip())
    if told is None or not int(told[1]):
        raise ValueError("must be like 5, 5/s or 30/m")
    return _SECONDS[told[2]] / int(told[1])
