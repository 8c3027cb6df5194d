"""What a run leaves behind, as data: what was published and heard, asked and answered, broken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

EVENTS, JOURNAL, LOGS = "events.jsonl", "journal.jsonl", "worker-*.log"


@dataclass(frozen=True, slots=True)
class Published:
    """One publish of a job, as it was tried or as the broker accepted it.

    Every time in these records is in seconds since 1970.
    """

    at: float
    job_id: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as a subscriber got it; ``place`` is the hub, or ``aui.unclaimed``."""

    at: float
    place: str
    key: str
    type: str
    message_id: str
    headers: Mapping[str, Any]
    body: str

    @property
    def job_id(self) -> str:
        """The job it is about."""
        return str(self.headers.get("aui-job-id"))

    @property
    def attempt(self) -> int:
        """The attempt it belongs to."""
        return int(self.headers.get("aui-attempt", 0))

    @property
    def seq(self) -> int:
        """Its place within the attempt."""
        return int(self.headers.get("aui-seq", 0))

    @property
    def delivery(self) -> int:
        """How often the job had been delivered before."""
        return (self.attempt - 1) // 64

    @property
    def terminal(self) -> bool:
        """It ends the job."""
        return self.type in ("message.completed", "message.failed")


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    at: float
    key: str
    message_id: str
    headers: Mapping[str, Any]
    body: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault, as it happened; ``hit`` names what it was done to."""

    number: int
    kind: str
    began: float
    ended: float
    hit: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process; ``asked`` is the signal it was sent, if any."""

    at: float
    program: str
    code: int
    asked: str = ""
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a worker's process was at a moment."""

    at: float
    program: str
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Left:
    """A queue that was not empty when all had ended."""

    queue: str
    messages: int


Event = Published | Reply | Letter | Happened | Exit | Vitals | Left
_KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (Published, Reply, Letter, Happened, Exit, Vitals, Left)
}


@dataclass(frozen=True, slots=True)
class Ask:
    """A user's message as AUI got it."""

    id: str
    at: float
    visible_at: float
    task_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The agent's answer to one of them."""

    id: str
    at: float
    visible_at: float
    task_id: str
    text: str
    answers: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left behind.

    Attributes:
        tasks: task ids by the number a plan gives them.
        unanswered: when AUI ended each of the asks that it will not answer, by their ids.
        logs: what each life of each worker wrote.
        secrets: what must show nowhere.
    """

    tasks: Sequence[str] = ()
    published: Sequence[Published] = ()
    replies: Sequence[Reply] = ()
    letters: Sequence[Letter] = ()
    asks: Sequence[Ask] = ()
    answers: Sequence[Answer] = ()
    unanswered: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[Happened] = ()
    exits: Sequence[Exit] = ()
    vitals: Sequence[Vitals] = ()
    left: Sequence[Left] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()


class EventLog:
    """Writes events to a file, one JSON object a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, event: Event) -> None:
        """Write one event."""
        line = {"event": type(event).__name__, **asdict(event)}
        self._file.write(json.dumps(line, default=str) + "\n")


def now() -> float:
    """Return the time in seconds since 1970, which the sandbox's journal is kept in, too."""
    return time.time()


def read_evidence(directory: Path, tasks: Sequence[str], secrets: Sequence[str]) -> Evidence:
    """Read all that a run left in a directory."""
    events: dict[type[Event], list[Any]] = {kind: [] for kind in _KINDS.values()}
    for line in _lines(directory / EVENTS):
        kind = _KINDS[line.pop("event")]
        events[kind].append(kind(**line))
    asks: list[Ask] = []
    answers: list[Answer] = []
    unanswered: dict[str, float] = {}
    for line in _lines(directory / JOURNAL):
        common = (
            line.get("message_id", ""),
            line["at"],
            line.get("visible_at", 0.0),
            line["task_id"],
            line.get("text", ""),
        )
        if line["kind"] == "user":
            asks.append(Ask(*common))
        elif line["kind"] == "agent":
            answers.append(Answer(*common, line["answers"]))
        elif line["kind"] == "unanswered":
            unanswered[line["message_id"]] = line["at"]
    return Evidence(
        tasks=tasks,
        published=events[Published],
        replies=events[Reply],
        letters=events[Letter],
        asks=asks,
        answers=answers,
        unanswered=unanswered,
        faults=events[Happened],
        exits=events[Exit],
        vitals=events[Vitals],
        left=events[Left],
        logs={path.name: path.read_text(errors="replace") for path in directory.glob(LOGS)},
        secrets=secrets,
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):  # what does not was cut off by a kill and never happened
                yield json.loads(line)
