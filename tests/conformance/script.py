"""What a fake agent can play: AUI's frames, the ways an attempt ends, and the waits between."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from worker.core.turn import Turn
from worker.core.update import UPDATED, Update
from worker.core.verdict import Source, judge
from worker.relay.ports import Clock

PATIENCE = 5.0
"""Seconds after which a test that waits for an event gives up."""


class Act(Protocol):
    """A step that is no frame."""

    async def play(self, turn: Turn, wait: Callable[[float], Awaitable[None]]) -> None:
        """Do it to a turn; `wait` lets so many seconds pass, within the deadline."""


Step = bytes | Act
"""A raw frame, or an act."""


class Gate:
    """A door in somebody's way: open until it is shut."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._reached = asyncio.Event()

    def shut(self) -> "Gate":
        """Let nobody through."""
        self._open.clear()
        return self

    def open(self) -> None:
        """Let everybody through, in the order they came."""
        self._open.set()

    async def passed(self) -> None:
        """Walk through; wait while it is shut."""
        self._reached.set()
        await self._open.wait()

    async def play(self, *_: object) -> None:
        """Hold a script up while it is shut."""
        await self.passed()

    async def reached(self) -> None:
        """Return once somebody has come to the door."""
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()


@dataclass(frozen=True)
class Close:
    """AUI sends a close frame."""

    code: int
    reason: str = ""

    async def play(self, turn: Turn, _: object) -> None:
        """Close."""
        turn.closed_by_server(self.code, self.reason)


@dataclass(frozen=True)
class Lose:
    """The attempt ends by something that is no frame: a cut connection, unless said otherwise."""

    source: Source = Source.CONNECTION_LOST
    code: int | None = None

    async def play(self, turn: Turn, _: object) -> None:
        """End."""
        turn.ended(self.source, self.code)


@dataclass(frozen=True)
class Stale:
    """The socket was one of an earlier turn, and is gone: only as the first step of a script."""

    reached: bool = True
    """The message came through all the same."""

    async def play(self, turn: Turn, _: object) -> None:
        """Be gone."""
        turn.stale = True
        turn.ended(Source.CONNECTION_LOST)


@dataclass(frozen=True)
class Refuse:
    """AUI answers the upgrade with an HTTP status: only as the first step of a script."""

    status: int
    retry_after: float | None = None

    async def play(self, turn: Turn, _: object) -> None:
        """Refuse."""
        turn.refused(judge(Source.STATUS, self.status, retry_after=self.retry_after))


@dataclass(frozen=True)
class Silence:
    """So many seconds without a frame."""

    seconds: float

    async def play(self, _: Turn, wait: Callable[[float], Awaitable[None]]) -> None:
        """Be silent."""
        await wait(self.seconds)


@dataclass(frozen=True)
class Bug:
    """The agent raises what no agent may raise."""

    error: Exception

    async def play(self, *_: object) -> None:
        """Raise."""
        raise self.error


def updating(text: str) -> bytes:
    """Return the frame of an update."""
    return json.dumps({"event": UPDATED, "data": {"text": text}}).encode()


def final(text: str, **more: object) -> bytes:
    """Return the frame of a final message."""
    sender = {"id": "agent_1", "type": "agent"}
    return json.dumps({"id": "msg_1", "text": text, "sender": sender, **more}).encode()


def failing(status: int, message: str = "no luck") -> bytes:
    """Return the frame of an error payload."""
    payload = {"status_code": status, "description": "Error", "message": message, "extra_data": {}}
    return json.dumps(payload).encode()


def answering(text: str) -> list[Step]:
    """Return the script of a good answer, word by word."""
    words = text.split()
    return [*(updating(" ".join(words[: n + 1])) for n in range(len(words))), final(text)]


async def play(
    turn: Turn,
    steps: Iterable[Step],
    deadline: float,
    clock: Clock,
    put: Callable[[Update], None],
) -> None:
    """Play a script to a turn; without an ending of its own it ends in a cut."""

    async def wait(seconds: float) -> None:
        left = deadline - clock.now()
        await clock.sleep(min(seconds, left))
        if seconds >= left:
            turn.ended(Source.DEADLINE)

    left = iter(steps)
    while turn.verdict is None:
        step = next(left, Lose())
        if not isinstance(step, bytes):
            await step.play(turn, wait)
        elif (update := turn.receive(step)) is not None:
            put(update)
