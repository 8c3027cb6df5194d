"""AUI that goes on by itself: it answers what it was asked, whether or not anybody listens."""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.conformance.script import Gate, Silence, Stale, Step, final, play, updating
from tests.fakes import Asked, FakeAgent
from tests.unit.relay.flow import World
from worker.core.said import Said
from worker.core.turn import Turn
from worker.core.update import Update


@dataclass(frozen=True)
class Fate:
    """What becomes of one attempt.

    Attributes:
        ending: how it ends for the worker; None is the agent's final message.
        reached: the message reaches AUI.
        answered: the agent answers it.
        after: seconds until it does.
    """

    ending: Step | None = None
    reached: bool = True
    answered: bool = True
    after: float = 0.0


@dataclass(frozen=True)
class Heard:
    """A user message that reached AUI: the job it came from, and the answer it gets, if any."""

    job_id: str
    answer: str | None


@dataclass
class Oracle(FakeAgent):
    """Answers each message with a text of its own; its history shows everything `lag` seconds late.

    A request may name the job it comes from in a field ``job``, which the history does not show.

    Attributes:
        fates: what becomes of the next attempts; all is well when there is none left.
        heard: every user message that reached it.
        lag: seconds until the history shows what was said.
        dated: its final messages tell when they were made.
        steps: passed before each thing that it does for a worker.
    """

    fates: deque[Fate] = field(default_factory=deque)
    heard: list[Heard] = field(default_factory=list)
    lag: float = 0.0
    dated: bool = True
    steps: Gate = field(default_factory=Gate)

    async def converse(
        self, task_id: str, request: bytes, deadline: float, put: Callable[[Update], None]
    ) -> Turn:
        await self.steps.passed()
        fate = self.fates.popleft() if self.fates else Fate()
        self.asked.append(Asked(task_id, request, deadline))
        now = self.clock.utc().timestamp()
        answer = final("", id="never_made")
        if fate.reached:
            answer = self._hear(task_id, json.loads(request), fate, now)
        turn = Turn(task_id)
        turn.sending(now)
        steps: list[Step] = [self.steps, updating("Well")]
        if isinstance(fate.ending, Stale):
            steps = [self.steps, fate.ending]
        elif fate.ending is not None:
            steps.append(fate.ending)
        else:
            steps += [Silence(fate.after), answer] if fate.after else [answer]
        await play(turn, steps, deadline, self.clock.port, put)
        return turn

    def question(self, number: int) -> Said:
        """Return a user message that reached it."""
        return self._said(f"said_{number}")

    def answer(self, number: int) -> Said:
        """Return what it said, or will say, to a user message."""
        return self._said(f"answer_{number}")

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        await self.steps.passed()
        history = await super().task_messages(task_id)
        shown = self.clock.utc().timestamp() - self.lag
        return sorted(
            (said for said in history if said.at is not None and said.at <= shown),
            key=lambda said: said.at or 0.0,
        )

    def _said(self, said_id: str) -> Said:
        return next(said for said in self.histories["task_1"] if said.id == said_id)

    def _hear(self, task_id: str, body: dict[str, str], fate: Fate, now: float) -> bytes:
        """Take in a message, and say what is to be said to it, in its time."""
        number = len(self.heard)
        text = f"answer {number} to {body['text']}"
        self.heard.append(Heard(body.get("job", ""), text if fate.answered else None))
        history = self.histories.setdefault(task_id, [])
        history.append(Said(body["text"], by_user=True, id=f"said_{number}", at=now))
        at = now + fate.after
        told = {"created_at": datetime.fromtimestamp(at, UTC).isoformat()} if self.dated else {}
        raw = final(text, id=f"answer_{number}", **told)
        if fate.answered:
            history.append(Said(text, by_user=False, id=f"answer_{number}", at=at, raw=raw))
        return raw


def world_of(*fates: Fate) -> tuple[World, Oracle]:
    """Return a world with an oracle for AUI, which knows `task_1`."""
    world = World()
    oracle = Oracle(world.clock, world.journal, fates=deque(fates), histories={"task_1": []})
    world.agent = oracle
    return world, oracle
