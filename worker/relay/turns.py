"""Converse and relay: one turn, over as many attempts as it takes.

Updates go out as they come. Before a message is sent that may have been sent already, the task's
history is looked at; a message is never sent under a delivery that is known to be lost.
"""

import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import inf

from worker.core.asked import Asked
from worker.core.job import Job
from worker.core.reply import Replies
from worker.core.retry import Allowance
from worker.core.said import Said
from worker.core.turn import Turn
from worker.core.verdict import COMPLETED, POSTPONED, Kind, Source, Verdict, judge
from worker.core.wire import Final
from worker.relay.attempts import Attempts
from worker.relay.door import Visit
from worker.relay.gate import Gate
from worker.relay.memory import Memory
from worker.relay.outbox import Outbox
from worker.relay.ports import Agent, Clock, Hold, Publisher, TaskExchanges
from worker.relay.progress import Progress
from worker.relay.received import Received
from worker.relay.recovery import Recovery

log = logging.getLogger(__name__)


class Turns:
    """Runs turns against AUI.

    Args:
        agents: AUI, by network.
        publisher: where updates go.
        exchanges: keeps the task's exchange while the turn runs.
        attempts: the retry loop.
        recovery: looks before a message is sent again.
        memory: remembers what is known of a job that is postponed.
        gate: bounds the turns with an open socket.
        clock: the time.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        publisher: Publisher,
        exchanges: TaskExchanges,
        attempts: Attempts,
        recovery: Recovery,
        memory: Memory,
        gate: Gate,
        clock: Clock,
    ) -> None:
        self._agents = agents
        self._publisher = publisher
        self._exchanges = exchanges
        self._attempts = attempts
        self._recovery = recovery
        self._memory = memory
        self._gate = gate
        self._clock = clock

    async def run(
        self,
        received: Received,
        job: Job,
        task_id: str,
        replies: Replies,
        progress: Progress,
        behind: Sequence[Received] = (),
    ) -> Verdict:
        """Put a job to the agent and relay its answer, all but the terminal reply.

        Args:
            received: the delivery it came by.
            job: what it says.
            task_id: its task.
            replies: numbers the replies.
            progress: takes down how it goes.
            behind: what waits for its end, in the same lane.

        Returns:
            the verdict on the last attempt; the answer is in ``progress`` when it completed.
        """
        network = job.address.network
        key = (network, task_id, job.address.job_id)
        known = self._memory.resume(key, received.delivery.envelope.delivery_count)
        asked = progress.asked = known or Asked(job.maybe_sent, received.at)
        with self._exchanges.hold(network, task_id) as hold:
            work = _Work(self, received, job, task_id, replies, progress, behind, asked, hold)
            verdict = await self._attempts.run(network, task_id, work, replies, progress)
            if verdict.kind is Kind.INTERRUPTED and asked.maybe:
                # No attempt is left, but the last one may still be answered.
                with self._gate.visit(network) as visit:
                    found = await self._find(work, visit, inf)
                if isinstance(found, Said):
                    replies.begin_attempt()
                    verdict = _recovered(found, work)
                elif found is POSTPONED:  # the looking was cut short: the next one looks
                    verdict = POSTPONED
            if verdict.kind is Kind.POSTPONED:
                self._memory.postpone(key, received.delivery.envelope.delivery_count, asked)
            await hold.ready()
            return verdict

    async def attempt(self, work: "_Work", visit: Visit, allowance: Allowance) -> Verdict:
        """Make one attempt: look, where the message may have been sent, and else send it."""
        work.progress.begin_attempt(work.replies.attempt, streamed=work.job.streamed)
        done = await self._looked(work, visit, allowance) if work.asked.maybe else None
        if done is None and work.received.expired(self._clock):
            done = judge(Source.EXPIRED, detail="expired before it could be sent")
        if done is not None:
            return done
        await self._publisher.ready()
        async with self._gate.slot(visit) as admitted:
            if not admitted or work.received.delivery.lost:
                return POSTPONED
            outbox = Outbox(
                self._publisher, work.replies, work.job.pace, work.hold, self._clock.now
            )
            began = self._clock.now()
            async with outbox:
                turn = await self._put(work, allowance.start(), outbox)
        work.asked.note(turn, self._clock.now())
        work.progress.conversed(turn, outbox, began)
        if turn.stale:
            # No fault of this attempt's: it looks whether AUI has the message all the same.
            log.info("task %s: the socket of its last turn was gone", work.task_id)
            return await self.attempt(work, visit, allowance)
        _tell_of(work.task_id, turn, outbox)
        return _noted(turn, work)

    def _put(self, work: "_Work", deadline: float, outbox: Outbox) -> Awaitable[Turn]:
        """Put the message to the agent: streamed over the WebSocket, or whole over REST."""
        job, agent = work.job, self._agents[work.job.address.network]
        if job.streamed:
            return agent.converse(work.task_id, job.request, deadline, outbox.put)
        return agent.post(work.task_id, job.request, deadline)

    async def _looked(self, work: "_Work", visit: Visit, allowance: Allowance) -> Verdict | None:
        """Look for the answer; None if the message is to be sent."""
        found = await self._find(work, visit, allowance.start())
        if isinstance(found, Verdict):
            work.progress.note(work.replies.attempt, "looking", found)
            return found
        return None if found is None else _recovered(found, work)

    async def _find(self, work: "_Work", visit: Visit, ends_at: float) -> Said | Verdict | None:
        def twin_behind() -> bool:
            return _twin(work.received, work.behind)

        def behind() -> list[str]:
            return _sent_behind(work.behind)

        return await self._recovery.find(
            work.job,
            work.task_id,
            work.asked,
            visit,
            ends_at,
            work.progress.trace,
            twin_behind,
            behind,
        )


@dataclass(frozen=True, slots=True)
class _Work:
    """One job while its turn runs; called, it makes an attempt."""

    turns: Turns
    received: Received
    job: Job
    task_id: str
    replies: Replies
    progress: Progress
    behind: Sequence[Received]
    asked: Asked
    hold: Hold

    def __call__(self, visit: Visit, allowance: Allowance) -> Awaitable[Verdict]:
        return self.turns.attempt(self, visit, allowance)


def _tell_of(task_id: str, turn: Turn, outbox: Outbox) -> None:
    if outbox.coalesced:
        log.debug("task %s: %d updates coalesced", task_id, outbox.coalesced)
    if turn.ignored:
        log.warning("ignored of task %s: %s", task_id, dict(turn.ignored))


def _noted(turn: Turn, work: _Work) -> Verdict:
    assert turn.verdict is not None  # the conversation has ended
    work.progress.text, work.progress.final = turn.text, turn.final
    work.progress.note(work.replies.attempt, turn.phase, turn.verdict)
    return turn.verdict


def _recovered(answer: Said, work: _Work) -> Verdict:
    work.progress.found(Final(answer.raw, answer.id, answer.text, answer.at))
    work.progress.note(work.replies.attempt, "looking", COMPLETED)
    return COMPLETED


def _sent_behind(behind: Sequence[Received]) -> list[str]:
    """Return the texts of the jobs behind it that may have been sent, too."""
    texts = []
    for other in behind:
        if other.job is None or not other.job.maybe_sent:
            break
        texts.append(other.job.text)
    return texts


def _twin(received: Received, behind: Sequence[Received]) -> bool:
    """Tell whether a job right behind it, with the same text, may have been sent, too."""
    twins = takewhile(received.says_the_same, behind)
    return any(twin.job is not None and twin.job.maybe_sent for twin in twins)
