"""What was found: a thing, its state, and a line about it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from worker.core.errors import LinkLost

PATIENCE = 10.0
"""Seconds for one step."""


class State(StrEnum):
    """Whether it is well; what could not be looked at for something that failed is skipped."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        what: what was looked at.
        state: how it is.
        said: what there is to say about it; where it failed, what to look into.
    """

    what: str
    state: State
    said: str


Tell = Callable[[Finding], None]


def fine(what: str, said: str) -> Finding:
    """Find nothing wrong."""
    return Finding(what, State.OK, said)


def failed(what: str, said: str) -> Finding:
    """Find something wrong."""
    return Finding(what, State.FAILED, said)


def skipped(what: str, why: str) -> Finding:
    """Leave out what cannot be looked at."""
    return Finding(what, State.SKIPPED, why)


async def within(what: str, look: Awaitable[Finding], patience: float = PATIENCE) -> Finding:
    """Take one step; one that takes too long, or the broker away, has failed."""
    try:
        async with asyncio.timeout(patience):
            return await look
    except TimeoutError:
        return failed(what, f"no answer within {patience:g} s")
    except LinkLost as error:
        return failed(what, str(error))
