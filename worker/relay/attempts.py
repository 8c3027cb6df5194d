"""Tries until it is settled: the retry loop of one job, with tenacity, through the gate.

An interrupted attempt tells the subscribers that its text is void and is tried again, holding the
lane, so that order survives. What failed for no fault of the job's, because its network is out or
limits our rate, is not counted against it.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from tenacity import AsyncRetrying, RetryCallState

from worker.core.brownout import State
from worker.core.reply import Replies
from worker.core.retry import Allowance, RetryPolicy
from worker.core.verdict import POSTPONED, Kind, Verdict
from worker.relay.door import Visit
from worker.relay.gate import Gate
from worker.relay.ports import Clock, Publisher
from worker.relay.progress import Progress

Attempt = Callable[[Visit, Allowance], Awaitable[Verdict]]


class Attempts:
    """Makes attempts, as many as it takes and the policy allows.

    Args:
        publisher: where ``retrying`` goes.
        gate: admits attempts, and is told how they end.
        policy: how hard to try.
        clock: the time.
    """

    def __init__(self, publisher: Publisher, gate: Gate, policy: RetryPolicy, clock: Clock) -> None:
        self._publisher = publisher
        self._gate = gate
        self._policy = policy
        self._clock = clock

    async def run(
        self, network: str, key: str, attempt: Attempt, replies: Replies, progress: Progress
    ) -> Verdict:
        """Call ``attempt`` until it is not interrupted, or what is allowed is used up.

        Args:
            network: the network it is made at.
            key: the task or user it is for; evidence of one is no evidence of another.
            attempt: makes one attempt and returns how it ended.
            replies: numbers the attempts.
            progress: takes down how they go.

        Returns:
            the last verdict; a postponed one if the job is to go back to its queue.
        """
        allowance = self._policy.allowance(self._clock.now)
        with self._gate.visit(network) as visit:
            if not await self._begun(visit, allowance, replies):
                return POSTPONED
            verdict = await attempt(visit, allowance)
            progress.end_attempt(verdict)
            verdict = await self._weighed(visit, key, verdict, allowance, replies)
            if verdict.kind is not Kind.INTERRUPTED:
                return verdict
            again = partial(self._again, visit, key, attempt, allowance, replies, progress)
            return await self._retried(verdict, again, allowance, replies, progress)

    async def _again(
        self,
        visit: Visit,
        key: str,
        attempt: Attempt,
        allowance: Allowance,
        replies: Replies,
        progress: Progress,
    ) -> Verdict:
        if not await self._begun(visit, allowance, replies):
            return POSTPONED
        verdict = await attempt(visit, allowance)
        progress.end_attempt(verdict)
        return await self._weighed(visit, key, verdict, allowance, replies)

    async def _begun(self, visit: Visit, allowance: Allowance, replies: Replies) -> bool:
        """Begin an attempt, once it is admitted; tell whether it is."""
        admitted = await self._admitted(visit, allowance)
        if admitted:
            replies.begin_attempt()
        return admitted

    async def _admitted(self, visit: Visit, allowance: Allowance) -> bool:
        """Wait at the gate; what a job is held there is not taken from its time."""
        came, held = self._clock.now(), visit.held
        admitted = await self._gate.admitted(visit)
        if held:
            allowance.extend(self._clock.now() - came)
        return admitted

    async def _weighed(
        self, visit: Visit, key: str, verdict: Verdict, allowance: Allowance, replies: Replies
    ) -> Verdict:
        """Tell the gate how an attempt ended, and see whether the job is to blame for it."""
        if verdict.kind is Kind.POSTPONED:
            return verdict
        self._gate.ended(visit, key, verdict)
        if verdict.kind is not Kind.INTERRUPTED or self._gate.counts(visit):
            return verdict
        allowance.forgive()
        if visit.held or visit.door.state is not State.OUT:
            return verdict
        if replies.seq:
            await self._publisher.announce(replies.retrying(verdict, visit.door.until_probe))
        return POSTPONED

    async def _retried(
        self,
        first: Verdict,
        again: Callable[[], Awaitable[Verdict]],
        allowance: Allowance,
        replies: Replies,
        progress: Progress,
    ) -> Verdict:
        """Go on after a first attempt: tenacity's loop costs more than most jobs need."""
        made = [first]

        async def made_or_next() -> Verdict:
            return made.pop() if made else await again()

        async def announce(state: RetryCallState) -> None:
            assert state.outcome is not None  # tenacity sleeps after an outcome
            verdict = state.outcome.result()
            progress.retry(verdict, state.upcoming_sleep)
            await self._publisher.announce(replies.retrying(verdict, state.upcoming_sleep))

        retrying = AsyncRetrying(
            retry=self._policy.retry,
            stop=self._policy.stop(allowance),
            wait=self._policy.wait,
            sleep=self._clock.sleep,
            before_sleep=announce,
            retry_error_callback=_last,
        )
        verdict: Verdict = await retrying(made_or_next)
        return verdict


def _last(state: RetryCallState) -> Verdict:
    assert state.outcome is not None  # tenacity stops after an outcome
    verdict: Verdict = state.outcome.result()
    return verdict
