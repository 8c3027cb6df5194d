"""The world in memory: a fake for each port of the flow, and a clock that only the tests move.

`tests/conformance` holds each fake to the same suite as its real adapter. What a fake does is
written into a :class:`Journal`, which all fakes of a test share: tests wait for its entries,
never for time.
"""

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.conformance.script import PATIENCE, Gate, Refuse, Stale, Step, answering, play
from worker.core.conversation import PAGE_SIZE, Task, TaskPage
from worker.core.envelope import Envelope, Properties
from worker.core.errors import AgentUnavailable
from worker.core.reply import Reply
from worker.core.said import Said
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import COMPLETED, Kind, Source, Verdict, judge
from worker.relay.ports import Clock


class Journal:
    """What happened in the world, in order."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._news = asyncio.Event()

    def add(self, entry: str) -> None:
        """Write an entry down."""
        self.entries.append(entry)
        self._news.set()

    async def until(self, entry: str, times: int = 1) -> None:
        """Return once an entry is there (so many times)."""
        async with asyncio.timeout(PATIENCE):
            while self.entries.count(entry) < times:
                self._news.clear()
                await self._news.wait()


class ManualClock:
    """A time that passes only while somebody sleeps, and then at once; a shut gate stops it."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []
        self.gate = Gate()

    def now(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return datetime(2026, 3, 9, 14, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.gate.passed()
        self.seconds += seconds
        await asyncio.sleep(0)

    @property
    def port(self) -> Clock:
        """The clock as the flow takes it."""
        return Clock(now=self.now, utc=self.utc, sleep=self.sleep)


class FakeChannel:
    """What deliveries come over: recalled it hands out no work; it is lost once none is left."""

    def __init__(self) -> None:
        self.lost = False
        self.recalled = False
        self.claimed: set[FakeDelivery] = set()
        self._calls: dict[object, Callable[[], None]] = {}

    def recall(self) -> None:
        """Drain: what is claimed may be settled, nothing more may be claimed."""
        self.recalled = True
        if not self.claimed:
            self.lose()

    def settled(self, delivery: "FakeDelivery") -> None:
        """Strike out a delivery."""
        self.claimed.discard(delivery)
        if self.recalled:
            self.recall()

    def lose(self) -> None:
        """Be gone, and tell."""
        self.lost = True
        while self._calls:
            self._calls.pop(next(iter(self._calls)))()

    def when_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call when it is lost."""
        token = object()
        self._calls[token] = call
        if self.lost:
            self.lose()

        def take_back() -> None:
            self._calls.pop(token, None)

        return take_back


class FakeDelivery:
    """A delivery of which one sees what became of it; `lost` may be set at any time.

    Unless it is given one, it has a channel of its own: `channel.recall()` drains its queue.

    Attributes:
        settled: an ack was tried; `acked`: it went through.
        given_back: it was settled as not done.
    """

    def __init__(
        self,
        envelope: Envelope,
        journal: Journal | None = None,
        channel: FakeChannel | None = None,
        at: float = 1000.0,
    ) -> None:
        self.envelope = envelope
        self.channel = channel or FakeChannel()
        self.acked = False
        self.settled = False
        self.given_back = False
        self.first = True
        self.suspicion = envelope.delivery_count if envelope.redelivered else 0
        self.at = at
        self.queue, self.tag = "aui.jobs.default.0", 1
        self._journal = journal or Journal()

    @property
    def lost(self) -> bool:
        return self.channel.lost

    @lost.setter
    def lost(self, _: bool) -> None:
        self.channel.lose()

    @property
    def claimed(self) -> bool:
        """Somebody works on it."""
        return self in self.channel.claimed

    def claim(self) -> bool:
        if self.claimed:
            return not self.lost
        if self.lost or self.channel.recalled or self.settled or self.given_back:
            return False
        self.channel.claimed.add(self)
        return True

    def when_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        return self.channel.when_lost(call)

    async def ack(self) -> None:
        if self.settled or self.given_back:
            self._journal.add("settled twice")
            raise RuntimeError("a delivery was settled twice")
        self.settled = True
        if not self.lost:
            self.acked = True
            self._journal.add("ack")
        self.channel.settled(self)

    def give_back(self) -> None:
        if self.settled or self.given_back:
            return
        self.given_back = True
        self._journal.add("given back")
        self.channel.claimed.discard(self)
        self.channel.recall()


class Valve(Gate):
    """A gate that can be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True

    def shut(self) -> "Valve":
        self.is_open = False
        super().shut()
        return self

    def open(self) -> None:
        self.is_open = True
        super().open()


class FakePublisher:
    """Keeps every reply, in the order they left; nothing leaves while the gate is shut.

    `deaf` are the kinds of replies that nobody has bound a queue for.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self.published: list[Reply] = []
        self.unclaimed: list[Reply] = []
        self.deaf: set[str] = set()
        self.gate = Valve()
        self._journal = journal or Journal()

    @property
    def possible(self) -> bool:
        return self.gate.is_open

    @property
    def held_up(self) -> bool:
        return not self.gate.is_open

    async def ready(self) -> None:
        while not self.possible:
            await self.gate.passed()

    def update(self, reply: Reply) -> None:
        assert self.possible, "an update that nobody may publish now"
        self._keep(reply)

    async def announce(self, reply: Reply) -> None:
        await self.gate.passed()
        self._keep(reply)

    async def terminal(self, reply: Reply) -> None:
        await self.gate.passed()
        self._keep(reply)
        if str(reply.kind) in self.deaf:
            self.unclaimed.append(reply)

    @property
    def kinds(self) -> list[str]:
        """The kinds of what was published, in order."""
        return [str(reply.kind) for reply in self.published]

    def _keep(self, reply: Reply) -> None:
        self.published.append(reply)
        self._journal.add(str(reply.kind))


@dataclass(frozen=True)
class Copied:
    """One copy of a job: where it went, and all of it."""

    where: tuple[str, ...]
    body: bytes
    properties: Properties


class FakeCopies:
    """Keeps letters and forwards; nothing is confirmed while the gate is shut."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.letters: list[Copied] = []
        self.forwards: list[Copied] = []
        self.gate = Gate()
        self._journal = journal or Journal()

    async def to_dead(self, key: str, body: bytes, properties: Properties) -> None:
        await self.gate.passed()
        self.letters.append(Copied((key,), body, properties))
        self._journal.add("letter")

    async def to_slot(self, network: str, slot: str, body: bytes, properties: Properties) -> None:
        await self.gate.passed()
        self.forwards.append(Copied((network, slot), body, properties))
        self._journal.add("forward")


class FakeTaskExchanges:
    """Knows which exchanges stand; none can be made while the gate is shut."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.standing: set[tuple[str, str]] = set()
        self.held: Counter[tuple[str, str]] = Counter()
        self.gate = Valve()
        self._journal = journal or Journal()

    @contextmanager
    def hold(self, network: str, task_id: str) -> Iterator["FakeHold"]:
        key = network, task_id
        self.held[key] += 1
        if self.gate.is_open:
            self._make(key)
        try:
            yield FakeHold(self, key)
        finally:
            self.held[key] -= 1

    async def make(self, key: tuple[str, str]) -> None:
        """Make an exchange unless it stands."""
        await self.gate.passed()
        self._make(key)

    def _make(self, key: tuple[str, str]) -> None:
        if key not in self.standing:
            self.standing.add(key)
            self._journal.add("exchange")

    def lose_link(self) -> None:
        """Lose the link, and every exchange with it."""
        self.gate.shut()
        self.standing.clear()

    def link_back(self) -> None:
        """Get the link back, and what is in use."""
        self.gate.open()
        self.standing |= {key for key, users in self.held.items() if users}


@dataclass(frozen=True)
class FakeHold:
    """A use of a fake exchange."""

    owner: FakeTaskExchanges
    key: tuple[str, str]

    @property
    def stands(self) -> bool:
        return self.key in self.owner.standing

    async def ready(self) -> None:
        await self.owner.make(self.key)


@dataclass(frozen=True)
class Asked:
    """One attempt as the agent saw it."""

    task_id: str
    request: bytes
    deadline: float


@dataclass
class FakeAgent:
    """AUI in memory: plays one script an attempt, and a polite answer when there is none left.

    Attributes:
        scripts: what to play, attempt by attempt; a script without an ending is a cut connection.
        asked: every attempt.
        tasks: by user, oldest first.
        histories: what was said, by task.
        unavailable: the verdicts of the next REST calls that fail.
        unopened: the verdicts of the next probes whose WebSocket fails.
        open: conversations that run now; `most_open`: ever at once.
    """

    clock: ManualClock
    journal: Journal = field(default_factory=Journal)
    scripts: deque[Sequence[Step]] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    tasks: defaultdict[str, list[Task]] = field(default_factory=lambda: defaultdict(list))
    histories: dict[str, list[Said]] = field(default_factory=dict)
    unavailable: deque[Verdict] = field(default_factory=deque)
    unopened: deque[Verdict] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    page_size: int = 50
    newest_first: bool = True
    open: int = 0
    most_open: int = 0

    async def converse(
        self, task_id: str, request: bytes, deadline: float, put: Callable[[Update], None]
    ) -> Turn:
        """Play the next script."""
        self.asked.append(Asked(task_id, request, deadline))
        self.journal.add("converse")
        text = str(json.loads(request).get("text"))
        script = self.scripts.popleft() if self.scripts else answering(f"You said: {text}")
        turn = Turn(task_id)
        first = script[0] if script else None
        if not isinstance(first, Refuse):
            turn.sending(self.clock.utc().timestamp())
            if not isinstance(first, Stale) or first.reached:
                self.say(task_id, text, by_user=True)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await play(turn, script, deadline, self.clock.port, put)
        finally:
            self.open -= 1
            self.journal.add("hung up")
            if turn.final is not None:
                self.say(task_id, turn.final.text, by_user=False, said_id=turn.final.id)
        return turn

    async def post(self, task_id: str, request: bytes, deadline: float) -> Turn:
        """Play the next script, whose updates nobody hears."""
        return await self.converse(task_id, request, deadline, lambda _: None)

    async def create_task(self, user_id: str) -> Task:
        """Create a task; its id is an ObjectId, of the clock's time."""
        self._call("create_task")
        number = sum(map(len, self.tasks.values()))
        task_id = f"{int(self.clock.utc().timestamp()):08x}{number:016x}"
        task = Task(task_id, json.dumps({"id": task_id, "user_id": user_id}).encode())
        self.tasks[user_id].append(task)
        self.histories[task_id] = []
        return task

    async def list_tasks(self, user_id: str, page: int = 1, size: int = PAGE_SIZE) -> TaskPage:
        """Return a page, sorted as `newest_first` says."""
        self._call("list_tasks")
        tasks = self.tasks[user_id][:: -1 if self.newest_first else 1]
        size = min(size, self.page_size)
        shown = tasks[(page - 1) * size : page * size]
        listed = [json.loads(task.raw) for task in shown]
        raw = json.dumps({"tasks": listed, "total": len(tasks), "page": page, "size": size})
        return TaskPage(shown, len(tasks), size, raw.encode())

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        """Return what was said; a task that is not known has no history to be had."""
        self._call("task_messages")
        if task_id not in self.histories:
            raise AgentUnavailable(judge(Source.STATUS, 404, detail="Task not found"))
        return list(self.histories[task_id])

    async def probe(self) -> Verdict:
        """Say whether it is there: as the next REST call and the next socket would."""
        self.journal.add("probe")
        try:
            self._call("probe")
        except AgentUnavailable as error:
            verdict = error.verdict
            if verdict.kind is Kind.INTERRUPTED or verdict.reason == "unauthorized":
                return verdict
        return self.unopened.popleft() if self.unopened else COMPLETED

    def say(self, task_id: str, text: str, *, by_user: bool, said_id: str = "") -> Said:
        """Put a message into a task's history, now."""
        history = self.histories.setdefault(task_id, [])
        said_id = said_id or f"said_{len(history)}"
        raw = json.dumps({"id": said_id, "text": text}).encode()
        said = Said(text, by_user, said_id, self.clock.utc().timestamp(), raw)
        history.append(said)
        return said

    def play(self, *scripts: Iterable[Step]) -> None:
        """Add scripts, one an attempt."""
        self.scripts.extend(list(script) for script in scripts)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.unavailable:
            raise AgentUnavailable(self.unavailable.popleft())
