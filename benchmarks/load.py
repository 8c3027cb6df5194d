"""What a load is, and what its texts look like: told in a job's text, known to both of its ends."""

from dataclasses import dataclass
from functools import lru_cache

TOKEN_BYTES = 12
"""Each job's text, and each text that answers it, begins with the job's number."""


@dataclass(frozen=True, slots=True)
class Stream:
    """How one job is answered.

    Attributes:
        updates: how many text updates there are before the final.
        interval: seconds between two of them; 0 is one after another, as fast as they are taken.
        size: bytes by which each grows.
        hold: the first update is followed by nothing until the server is told to release.
    """

    updates: int
    interval: float = 0.0
    size: int = 20
    hold: bool = False

    def request(self, token: str) -> str:
        """Return the text of a job that asks for it."""
        asked = f"{token} updates={self.updates} interval={self.interval:g} bytes={self.size}"
        return f"{asked} hold=1" if self.hold else asked

    @classmethod
    def of(cls, request: str) -> tuple[str, "Stream"]:
        """Read the text of a job: its token, and how to answer it."""
        token, *words = request.split()
        told = dict(word.split("=", 1) for word in words)
        return token, cls(
            updates=int(told["updates"]),
            interval=float(told["interval"]),
            size=int(told["bytes"]),
            hold="hold" in told,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """A number of jobs to be answered.

    Attributes:
        name: for the report.
        jobs: how many, each of a task of its own.
        stream: how each is answered.
        at_once: how many are published before the first is answered; each answer lets one follow.
        ramp: seconds over which these first ones are spread.
        pace: the ``aui-updates`` header, for workers that know it.
        again: each job is the next of a task that the load before had, at least as large.
        turns: how many of its jobs, one after another, are of one task.
    """

    name: str
    jobs: int
    stream: Stream
    at_once: int
    ramp: float = 0.0
    pace: str = ""
    again: bool = False
    turns: int = 1

    @property
    def updates(self) -> int:
        """How many updates it has in all."""
        return self.jobs * self.stream.updates


def token_of(number: int) -> str:
    """Return the token of a job."""
    return f"{number:0{TOKEN_BYTES}d}"


@lru_cache(maxsize=64)
def words(updates: int, size: int) -> bytes:
    """Return what follows the token in the last update; each earlier one holds a head of it."""
    return b"".join(b" " + b"%0*d" % (size - 1, number) for number in range(updates))
