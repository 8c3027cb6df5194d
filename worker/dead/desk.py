"""Works on the letters: looks, sends again, replaces, throws away.

Every letter that is acted on is published where it goes, confirmed, and only then taken out of the
queue: killed at any moment, none is lost, and what was not taken out yet is acted on once more.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from worker.amqp.dead_publishing import DeadPublishing
from worker.amqp.dead_queue import Holding, holding
from worker.amqp.session import Session
from worker.core.envelope import Envelope
from worker.core.topology import DEAD
from worker.dead.again import Again
from worker.dead.head import Head, head_of, identity_of, in_order
from worker.dead.run import AT_ONCE, HELD_SECONDS, Held, Outcome, Run, batches


class Desk:
    """All work on letters, over one connection.

    Args:
        session: a connection that may read the queue of letters.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, session: Session, now: Callable[[], float]) -> None:
        self._session = session
        self._now = now
        self._publishing = DeadPublishing(session)

    async def look(self) -> list[Head]:
        """Return the outside of all letters, oldest first."""
        places = iter(range(2**62))

        def keep(_: int, letter: Envelope) -> Head:
            return head_of(letter, next(places))

        async with holding(self._session, keep) as held:
            return in_order(held.kept)

    async def read(self, heads: Sequence[Head]) -> AsyncIterator[tuple[Head, Envelope]]:
        """Yield letters whole, in this order; those that are gone are left out.

        While one is yielded nothing is held.
        """
        for batch in batches(heads):
            async with self._hold(batch) as (_, found):
                pass
            for head in batch:
                if head.identity in found:
                    yield head, found[head.identity].letter

    async def replay(
        self,
        heads: Sequence[Head],
        job_of: Callable[[Envelope], Again],
        outcome: Outcome,
        pace: Callable[[], Awaitable[None]] | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """Send letters again, each conversation in order.

        Args:
            heads: which, in their order.
            job_of: makes the job of a letter.
            outcome: takes down what became of them; right also after an exception.
            pace: waits before each one is sent; they go one by one then.
            told: called after each one.

        Raises:
            LinkLost: the connection is gone; what was not sent is back in the queue.
        """

        async def send(held: Held) -> str | None:
            if pace is not None:
                await pace()
            job = job_of(held.letter)
            return await self._publishing.publish(job.exchange, job.slot, job.body, job.properties)

        await self._act(heads, send, outcome, told, AT_ONCE if pace is None else 1)

    async def drop(
        self, heads: Sequence[Head], outcome: Outcome, told: Callable[[], None] = lambda: None
    ) -> None:
        """Throw letters away."""

        async def nothing(_: Held) -> None:
            return None

        await self._act(heads, nothing, outcome, told)

    async def replace(self, head: Head, edited: Envelope) -> str | None:
        """Put another version in a letter's place; say why that was not done, or None."""
        outcome = Outcome()

        async def put(_: Held) -> str | None:
            return await self.bring(edited)

        await self._act([head], put, outcome, lambda: None)
        return outcome.left[0][1] if outcome.left else None

    async def bring(self, letter: Envelope) -> str | None:
        """Put a letter into the queue; say why it was not taken, or None."""
        return await self._publishing.publish(
            DEAD, letter.routing_key, letter.body, letter.properties
        )

    async def _act(
        self,
        heads: Sequence[Head],
        act: Callable[[Held], Awaitable[str | None]],
        outcome: Outcome,
        told: Callable[[], None],
        at_once: int = AT_ONCE,
    ) -> None:
        """Do something with letters, and take out those with which it was done."""
        stuck: set[tuple[str, str]] = set()
        todo = list(heads)
        while todo:
            batch = batches(todo)[0]
            async with self._hold(batch) as (held, found):
                run = Run(held, found, act, outcome, told, stuck)
                rest = await run.through(batch, at_once, self._now, self._now() + HELD_SECONDS)
            todo = rest + todo[len(batch) :]

    @asynccontextmanager
    async def _hold(
        self, heads: Sequence[Head]
    ) -> AsyncIterator[tuple[Holding[tuple[int, Envelope]], dict[str, Held]]]:
        wanted = {head.identity for head in heads}

        def keep(tag: int, letter: Envelope) -> tuple[int, Envelope] | None:
            return (tag, letter) if identity_of(letter) in wanted else None

        async with holding(self._session, keep) as held:
            found: dict[str, Held] = {}
            for tag, letter in held.kept:
                head = head_of(letter)
                known = found.setdefault(head.identity, Held(head, letter))
                known.tags.append(tag)
                if head.edited_at >= known.head.edited_at:
                    known.head, known.letter = head, letter
            yield held, found
