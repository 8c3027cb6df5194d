"""Holds what a subscriber gets against what was sent: none lost, doubled, reordered or mixed up."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load import TOKEN_BYTES, Load, words

TEXT = b'"text":'
SHOWN = 5


@dataclass(slots=True)
class Job:
    """One job, as its subscriber sees it.

    Attributes:
        update_key: the routing key of its updates.
        final_key: the routing key of its final.
        last: how many updates' text is there so far.
        skipped: how many of these came in a later one only.
        ended: its final is there.
        received: when each update came, in ns of the monotonic clock.
        numbers: which update each of them was, from 1.
    """

    update_key: bytes
    final_key: bytes
    last: int = 0
    skipped: int = 0
    ended: bool = False
    received: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))


class Check:
    """The replies to one load.

    Args:
        load: what was asked.
        jobs: by token.
        on_end: told of each final.

    Attributes:
        breaches: what was wrong, in words; only the first few of them.
        broken: how much was wrong.
        seen: how many updates have come.
        ended: how many jobs have their final.
    """

    def __init__(self, load: Load, jobs: dict[bytes, Job], on_end: Callable[[], None]) -> None:
        self.jobs = jobs
        self.breaches: list[str] = []
        self.broken = 0
        self.seen = 0
        self.ended = 0
        self._size = load.stream.size
        self._updates = load.stream.updates
        self._words = words(self._updates, self._size)
        self._on_end = on_end

    def take(self, key: bytes, body: bytes, now: int) -> None:
        """Take a reply."""
        begin = body.find(b'"', body.find(TEXT) + len(TEXT)) + 1
        end = body.find(b'"', begin)
        token = body[begin : begin + TOKEN_BYTES]
        said = body[begin + TOKEN_BYTES : end]
        job = self.jobs.get(token)
        if job is None:
            self._breach(f"{key!r}: text of no job of this load: {body[:80]!r}")
        elif key == job.update_key:
            self._update(job, said, now)
        elif key == job.final_key:
            self._final(job, said)
        else:
            self._breach(f"{key!r}: text of another job, {token!r}")

    def _update(self, job: Job, said: bytes, now: int) -> None:
        self.seen += 1
        number = len(said) // self._size
        job.received.append(now)
        job.numbers.append(number)
        if said != self._words[: number * self._size] or not number:
            self._breach(f"{job.update_key!r}: a text that was not sent: {said[:80]!r}")
        elif job.ended:
            self._breach(f"{job.update_key!r}: update {number} after the final")
        elif number <= job.last:
            self._breach(f"{job.update_key!r}: update {number} after update {job.last}")
        else:
            job.skipped += number - job.last - 1
            job.last = number

    def _final(self, job: Job, said: bytes) -> None:
        if job.ended:
            self._breach(f"{job.final_key!r}: a second final")
            return
        if said != self._words:
            self._breach(f"{job.final_key!r}: a final that was not sent: {said[:80]!r}")
        job.skipped += self._updates - job.last
        job.ended = True
        self.ended += 1
        self._on_end()

    def asked(self, token: bytes, sent: int) -> None:
        """Take how many updates the load server sent for a job: more were for asking twice."""
        if sent != self._updates:
            self._breach(f"{token!r}: {sent} updates were sent where {self._updates} were asked")

    @property
    def coalesced(self) -> int:
        """How many updates never came, a later one holding their text."""
        return sum(job.skipped for job in self.jobs.values())

    @property
    def lost(self) -> int:
        """How many jobs have no final."""
        return sum(not job.ended for job in self.jobs.values())

    def _breach(self, told: str) -> None:
        self.broken += 1
        if len(self.breaches) < SHOWN:
            self.breaches.append(told)
