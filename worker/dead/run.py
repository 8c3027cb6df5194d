"""Acts on letters that are held: each conversation in order, several conversations at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from worker.amqp.dead_queue import Holding
from worker.core.envelope import Envelope
from worker.dead.head import Head, conversations

AT_ONCE = 64
"""Conversations with a letter on its way: a broker that is far away takes as long for one."""
HELD_LETTERS, HELD_BYTES = 5_000, 64 * 1024 * 1024
"""What is kept in memory at once; a letter has 350 KiB at the most, and mostly one or two."""
HELD_SECONDS = 600.0
"""The broker closes a channel that holds a message for 30 minutes."""

BEHIND = "one of its conversation, before it, was not sent"
GONE = "it is not there any more"


@dataclass(slots=True)
class Held:
    """A letter that is held, in its last version, and the tags of all its copies."""

    head: Head
    letter: Envelope
    tags: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What became of the letters that were to be acted on, so far.

    Attributes:
        done: how many were.
        left: those that were not, and why.
    """

    done: int = 0
    left: list[tuple[Head, str]] = field(default_factory=list)


class Run:
    """One batch, while it is held.

    Args:
        holding: takes letters out of the queue.
        found: the letters of the batch that are there, by identity.
        act: does something with a letter; returns why it could not, or None.
        outcome: takes down what became of them.
        told: called after each one.
        stuck: conversations of which a letter could not be acted on: what follows it is left.
    """

    def __init__(
        self,
        holding: Holding[tuple[int, Envelope]],
        found: dict[str, Held],
        act: Callable[[Held], Awaitable[str | None]],
        outcome: Outcome,
        told: Callable[[], None],
        stuck: set[tuple[str, str]],
    ) -> None:
        self._holding = holding
        self._found = found
        self._act = act
        self._outcome = outcome
        self._told = told
        self._stuck = stuck

    async def through(
        self, heads: Sequence[Head], at_once: int, now: Callable[[], float], until: float
    ) -> list[Head]:
        """Act on letters, several conversations at a time; return those there was no time for."""
        done: set[str] = set()
        places = asyncio.Semaphore(at_once)

        async def conversation(letters: Sequence[Head]) -> None:
            async with places:
                for head in letters:
                    if done and now() >= until:
                        return
                    done.add(head.identity)
                    await self._one(head)

        try:
            async with asyncio.TaskGroup() as group:
                for letters in conversations(heads):
                    group.create_task(conversation(letters))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return [head for head in heads if head.identity not in done]

    async def _one(self, head: Head) -> None:
        held = self._found.get(head.identity)
        if held is None:
            why: str | None = GONE
        elif head.conversation in self._stuck:
            why = BEHIND
        else:
            why = await self._act(held)
            if why is None:
                for tag in held.tags:
                    await self._holding.remove(tag)
            else:
                self._stuck.add(head.conversation)
        if why is None:
            self._outcome.done += 1
        else:
            self._outcome.left.append((head, why))
        self._told()


def batches(heads: Sequence[Head]) -> list[list[Head]]:
    """Cut letters into what may be kept in memory at once; each has one at the least."""
    cut: list[list[Head]] = []
    size = 0
    for head in heads:
        size += head.size
        if not cut or len(cut[-1]) >= HELD_LETTERS or size > HELD_BYTES:
            cut.append([])
            size = head.size
        cut[-1].append(head)
    return cut
