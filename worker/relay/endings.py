"""How a job ends: its terminal reply is published and confirmed, and remembered for a repeat."""

import hashlib
from dataclasses import replace
from datetime import datetime

from cachetools import LRUCache

from worker.core import headers as h
from worker.core.history import Previous
from worker.core.reply import Replies, ReplyKind
from worker.core.retry import DeadLetter
from worker.core.verdict import Source
from worker.relay.dead_letters import DeadLetters
from worker.relay.finished import Ending, Finished
from worker.relay.memory import Memory
from worker.relay.ports import Publisher
from worker.relay.progress import Progress
from worker.relay.received import Received

_GIVEN_UP = (Source.DELIVERY_LIMIT, Source.EXPIRED, Source.POISON)
"""Why a job is given up that was a job, and may have ended before."""


UNACKED = 10_000
_Content = tuple[str, datetime | None, bytes]


class Endings:
    """Ends jobs; each method returns when all it published is confirmed.

    Args:
        publisher: where terminal replies go.
        dead_letters: keeps what could not be answered.
        finished: remembers terminal replies.
        memory: remembers what of a task's history is accounted for.
    """

    def __init__(
        self, publisher: Publisher, dead_letters: DeadLetters, finished: Finished, memory: Memory
    ) -> None:
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._finished = finished
        self._memory = memory
        self._unacked: LRUCache[_Content, list[tuple[int, Ending]]] = LRUCache(UNACKED)

    def not_acked(self, received: Received) -> None:
        """Note that the ack of an ended job, and what it carries, cannot have reached the broker.

        It comes again. One that its producer gave no id is known again only by all it says, so
        that is kept for this case alone: another job may say the same.
        """
        for one in (*received.carried, received):
            ending = self._finished.of(one.address)
            if ending is not None and _nameless(one):
                count = one.delivery.envelope.delivery_count
                self._unacked.setdefault(_content(one), []).append((count, ending))

    async def repeat(self, received: Received) -> Ending | None:
        """End a job that has ended before in this process; return how it did, if it has.

        A second job with the id of an answered one gets that answer. A redelivery, whose ack did
        not get through, needs nothing more where everybody was told; one of a failed job is not
        tried again, a new job with its id is.
        """
        problem, operation = received.problem, received.operation
        if problem is not None and problem.source not in _GIVEN_UP:
            return None  # what is no job has no id to go by
        if operation is not None and not operation.is_turn:
            return None  # a request has its own ways not to be done twice
        redelivered = received.delivery.envelope.redelivered
        if redelivered and _nameless(received):
            return self._unacked_of(received)
        ending = self._finished.of(received.address)
        if ending is not None and _sent_again_since(received, ending):
            return None
        again = redelivered or problem is not None
        if ending is None or not (ending.answered or again):
            return None
        if not (again and ending.told(received.address)):
            task_id = ending.reply.address.task_id
            reply = ending.reply.readdressed(replace(received.address, task_id=task_id))
            await self._publisher.terminal(reply)
            self._finished.remember(reply, confirmed=True)
        return ending

    def _unacked_of(self, received: Received) -> Ending | None:
        """Return how a job without an id ended, if nobody else has had it since."""
        noted = self._unacked.pop(_content(received), [])
        count = received.delivery.envelope.delivery_count
        fitting = [ending for before, ending in noted if before + 1 == count]
        if fitting[1:]:
            self._unacked[_content(received)] = [(count - 1, ending) for ending in fitting[1:]]
        return fitting[0] if fitting else None

    async def answer(self, replies: Replies, progress: Progress) -> None:
        """Publish the agent's answer, or the one to a request."""
        if progress.answer is not None:
            made = progress.answer.kind is ReplyKind.CREATED
            await progress.end(self._publisher, progress.answer, keep=made)
            return
        final, to = progress.final, replies.address
        assert final is not None  # it is what completed means
        if to.task_id is not None:
            self._memory.answered(to.network, to.task_id, Previous(final.id, final.at))
        reply = replies.final(final.raw, recovered=progress.recovered)
        # Remembered at once: should this be abandoned, the next delivery need not ask.
        self._finished.remember(reply, confirmed=False)
        await progress.end(self._publisher, reply)
        self._finished.remember(reply, confirmed=True)

    async def keep(
        self, received: Received, settlement: DeadLetter, replies: Replies, progress: Progress
    ) -> None:
        """Keep a job that gets no answer, and say so; of a read only say so."""
        operation = received.operation
        if (
            operation is not None
            and operation.is_read
            and settlement.verdict.source is not Source.INVALID_JOB
        ):
            await progress.end(self._publisher, replies.failed(settlement.verdict), keep=False)
            return
        to = replies.address
        if to.task_id is not None and progress.asked is not None:
            self._memory.claim(to.network, to.task_id, progress.asked.ours)
        envelope = received.delivery.envelope
        reply = await self._dead_letters.keep(
            envelope, received.address, replies, settlement.verdict, progress
        )
        if operation is None or operation.is_turn:
            self._finished.remember(reply, confirmed=True)


def _sent_again_since(received: Received, ending: Ending) -> bool:
    """Tell whether a failed job was taken from the dead letters since: that is another try."""
    base = received.delivery.envelope.properties.headers.get(h.ATTEMPT_BASE, 0)
    return not ending.answered and isinstance(base, int) and base >= ending.reply.attempt


def _nameless(received: Received) -> bool:
    return not received.delivery.envelope.properties.message_id


def _content(received: Received) -> _Content:
    envelope = received.delivery.envelope
    digest = hashlib.blake2b(envelope.body, digest_size=16).digest()
    return envelope.network, envelope.properties.timestamp, digest
