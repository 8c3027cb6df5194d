"""Settings from the environment: all that are missing are named at once."""

import os
import sys
from typing import NoReturn


def required(*names: str) -> list[str]:
    """Return the values of variables, in order.

    Raises:
        SystemExit: with code 78, some are not set.
    """
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        _refuse(f"set {', '.join(missing)} (docs/bots.md tells what they are)")
    return [os.environ[name] for name in names]


def number(name: str, default: int) -> int:
    """Return a whole number from 0 on.

    Raises:
        SystemExit: with code 78, it is something else.
    """
    value = os.environ.get(name, "")
    if value and not (value.isascii() and value.isdigit()):
        _refuse(f"{name} must be a whole number from 0 on")
    return int(value) if value else default


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    raise SystemExit(os.EX_CONFIG)
