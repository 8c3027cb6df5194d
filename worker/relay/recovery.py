"""Looks before a message is sent again: the effect of :mod:`worker.core.history`."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from worker.core.asked import Asked
from worker.core.brownout import State
from worker.core.errors import AgentUnavailable
from worker.core.history import Anchor, Seen, look
from worker.core.job import Job
from worker.core.said import Said
from worker.core.verdict import POSTPONED, Source, Verdict, judge
from worker.relay.door import Visit
from worker.relay.memory import Memory
from worker.relay.ports import Agent, Clock
from worker.telemetry.tracing import UNTRACED, JobTrace

LOOKS_AT_ONCE = 32
"""After the death of a worker, hundreds of jobs want to look at the same time."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
log = logging.getLogger(__name__)


class Recovery:
    """Finds the answer to a message that may have been sent.

    Args:
        agents: AUI, by network.
        memory: what of each task's history is accounted for.
        clock: the time.
    """

    def __init__(self, agents: Mapping[str, Agent], memory: Memory, clock: Clock) -> None:
        self._agents = agents
        self._memory = memory
        self._clock = clock
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def find(
        self,
        job: Job,
        task_id: str,
        asked: Asked,
        visit: Visit,
        ends_at: float,
        trace: JobTrace = UNTRACED,
        twin_behind: Callable[[], bool] = lambda: False,
        behind: Callable[[], Sequence[str]] = tuple,
    ) -> Said | Verdict | None:
        """Look for the answer for as long as it may still come.

        Args:
            job: whose message it is.
            task_id: the task it belongs to.
            asked: what is known of it; the messages taken for it are noted there.
            visit: the job's visit at the gate: it is postponed when its network goes out.
            ends_at: monotonic time at which the job's time is over.
            trace: the job's.
            twin_behind: tells whether a later job with the same text may have been sent, too.
            behind: tells the texts of the later jobs that may have been sent, too.

        Returns:
            the answer; or a verdict, if the history was not to be had, which is no licence to
            send, or the network went out or the worker is stopping: looking can be done by the
            next one; or None: nothing is to be expected, send it.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                seen = await self._look(job, task_id, asked, trace, twin_behind, behind)
            except AgentUnavailable as error:
                return error.verdict
            asked.ours |= seen.ours
            if seen.answer is not None:
                return _found(job, seen, seen.answer)
            now = self._clock.now()
            patience = asked.patience.answer if seen.asked else asked.patience.absence
            left = asked.since + patience - now
            if left <= 0:
                what = "no answer in its history" if seen.asked else "not in its history"
                log.info("task %s: %s", task_id, what)
                return None
            if now >= ends_at:
                return judge(Source.DEADLINE, detail="no answer in the task's history")
            visit.door.step_aside(visit)
            await visit.door.undisturbed(self._clock.sleep(min(pause, left)))
            if visit.door.is_shut or (visit.door.state is State.OUT and not visit.held):
                return POSTPONED
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _look(
        self,
        job: Job,
        task_id: str,
        asked: Asked,
        trace: JobTrace,
        twin_behind: Callable[[], bool],
        behind: Callable[[], Sequence[str]],
    ) -> Seen:
        network = job.address.network
        async with self._looking:
            with trace.call("task_messages"):
                history = await self._agents[network].task_messages(task_id)
        account = self._memory.of(network, task_id)
        anchor = Anchor(account.previous, asked.sent, job.published_at, job.copied)
        return look(
            history, job.text, anchor, account.claimed, twin_behind=twin_behind(), behind=behind()
        )


def _found(job: Job, seen: Seen, answer: Said) -> Said:
    if seen.ambiguous:
        log.warning(
            "job %s: taken for answered by the last exchange of its task, without a timestamp"
            " to tell",
            job.address.job_id,
        )
    return answer
