"""An interrupted attempt is made again, unless it failed for no fault of the job's."""

import asyncio
from collections.abc import Sequence

import pytest
from tenacity import wait_fixed

from tests.conformance.script import PATIENCE
from tests.fakes import FakePublisher, Journal
from tests.unit.relay.flow import PAUSE, let_run
from tests.unit.relay.hourglass import Hourglass
from worker.core import headers as h
from worker.core.brownout import State, Tolerance
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.retry import Allowance, RetryPolicy
from worker.core.update import Update
from worker.core.verdict import COMPLETED, POSTPONED, Kind, Source, Verdict, judge
from worker.relay.attempts import Attempts
from worker.relay.door import Visit
from worker.relay.gate import Gate
from worker.relay.places import Limits
from worker.relay.progress import Progress

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(PATIENCE)]

LOST = judge(Source.CONNECTION_LOST)
MODERATED = judge(Source.STATUS, 400)
BUSY = judge(Source.STATUS, 429, retry_after=7.0)
LONG = judge(Source.STATUS, 429, retry_after=100.0)


class Desk:
    """Makes attempts that end as told."""

    def __init__(
        self, attempts: int = 5, deadline: float = 600.0, brownout_after: int = 1000
    ) -> None:
        self.clock = Hourglass()
        self.journal = Journal()
        self.publisher = FakePublisher(self.journal)
        limits = {"default": Limits(9)}
        self.gate = Gate(limits, 9, Tolerance(brownout_after, 5.0), self.clock.port)
        policy = RetryPolicy(attempts, deadline, wait_fixed(PAUSE))
        self.progress = Progress(self.clock.port)
        self.attempts = Attempts(self.publisher, self.gate, policy, self.clock.port)
        self.replies = Replies(Address("default", "job_1", "job_1", task_id="task_1"), base=64)
        self.ends_at: list[float] = []

    async def run(self, *verdicts: Verdict, text: str = "", key: str = "task_1") -> Verdict:
        """Run one job whose attempts end so, each after it said something, if told."""
        left = list(verdicts)

        async def attempt(_: Visit, allowance: Allowance) -> Verdict:
            self.ends_at.append(allowance.start())
            if text:
                self.publisher.update(self.replies.update(Update.saying(text)))
            return left.pop(0)

        return await self.attempts.run("default", key, attempt, self.replies, self.progress)

    async def played(self, *verdicts: Verdict, text: str = "", seconds: float = 1e4) -> Verdict:
        """Run one job and let so much time pass."""
        running = asyncio.create_task(self.run(*verdicts, text=text))
        await self.clock.run(seconds)
        assert running.done()
        return running.result()

    async def put_out(self) -> None:
        """Brown the network out."""
        for number in range(3):
            await self.run(judge(Source.STATUS, 401), key=f"other_{number}")
        assert self.gate.door("default").state is State.OUT
        self.ends_at.clear()
        self.replies = Replies(self.replies.address, base=64)

    @property
    def told(self) -> Sequence[tuple[int, str]]:
        """What was told of which attempt."""
        return [(reply.attempt, str(reply.kind)) for reply in self.publisher.published]


@pytest.mark.parametrize("verdict", [COMPLETED, MODERATED, POSTPONED])
async def test_what_is_no_interruption_is_not_tried_again(verdict: Verdict) -> None:
    desk = Desk()
    assert await desk.run(verdict) == verdict
    assert desk.told == []
    assert desk.replies.attempt == 65


async def test_an_interruption_is_told_and_tried_again_within_the_same_time() -> None:
    desk = Desk()
    assert await desk.played(LOST, LOST, COMPLETED) == COMPLETED
    assert desk.told == [(65, "retrying"), (66, "retrying")]
    assert len(set(desk.ends_at)) == 1
    assert desk.clock.slept == [PAUSE, PAUSE]
    retrying = desk.publisher.published[0]
    assert retrying.headers[h.REASON] == "connection_lost"
    assert retrying.headers[h.RETRY_IN] == PAUSE


async def test_used_up_attempts_end_with_the_last_verdict_and_without_another_notice() -> None:
    desk = Desk(attempts=3)
    last = judge(Source.SERVER_CLOSE, 1011)
    assert await desk.played(LOST, LOST, last) == last
    assert desk.told == [(65, "retrying"), (66, "retrying")]


async def test_a_wait_that_aui_asked_for_is_waited() -> None:
    desk = Desk()
    assert await desk.played(BUSY, COMPLETED) == COMPLETED
    assert desk.publisher.published[0].headers[h.RETRY_IN] == 7.0
    assert desk.clock.slept == [7.0]


async def test_an_attempt_that_aui_had_no_room_for_is_not_counted() -> None:
    desk = Desk(attempts=2)
    assert await desk.played(BUSY, BUSY, BUSY, LOST, COMPLETED) == COMPLETED
    assert len(desk.told) == 4


async def test_not_even_those_are_tried_without_end() -> None:
    desk = Desk(deadline=1e6)
    verdict = await desk.played(*[BUSY] * 100)
    assert verdict == BUSY
    assert len(desk.ends_at) == 60
    assert desk.replies.attempt == 64 + 60


async def test_nobody_retries_past_the_deadline() -> None:
    desk = Desk(attempts=60, deadline=2.5 * PAUSE)
    assert await desk.played(*[LOST] * 60) == LOST
    assert len(desk.ends_at) == 3


async def test_no_attempt_is_made_while_the_network_is_out() -> None:
    desk = Desk()
    await desk.put_out()
    assert await desk.run() == POSTPONED
    assert (desk.ends_at, desk.replies.attempt) == ([], 64)


async def test_the_attempt_that_puts_the_network_out_is_not_the_jobs_fault() -> None:
    desk = Desk()
    assert await desk.run(LONG) == POSTPONED
    assert desk.gate.door("default").state is State.OUT
    assert desk.told == []


async def test_when_text_was_told_of_it_it_is_told_that_it_is_void() -> None:
    desk = Desk()
    assert await desk.run(LONG, text="Hel") == POSTPONED
    assert desk.told == [(65, "update"), (65, "retrying")]
    retrying = desk.publisher.published[-1]
    assert retrying.headers[h.RETRY_IN] == 100.0
    assert retrying.headers[h.REASON] == "rate_limited"


async def test_a_rejection_is_final_even_when_it_puts_the_network_out() -> None:
    desk = Desk()
    refused = judge(Source.STATUS, 401)
    verdicts = [await desk.run(refused, key=f"task_{number}") for number in range(3)]
    assert verdicts == [refused] * 3
    assert desk.gate.door("default").state is State.OUT


async def test_interruptions_of_one_task_are_no_evidence_against_the_network() -> None:
    desk = Desk(attempts=20, brownout_after=3)
    assert await desk.played(*[LOST] * 20) == LOST
    assert desk.gate.door("default").state is State.HEALTHY


async def test_a_retry_finds_the_network_out_and_goes_back() -> None:
    desk = Desk()
    running = asyncio.create_task(desk.run(LOST, COMPLETED))
    await let_run()
    desk.gate.ended(desk.gate.visit("default"), "task_2", LONG)
    await desk.clock.run(PAUSE)
    assert await running == POSTPONED
    assert desk.told == [(65, "retrying")]


async def test_a_canary_waits_for_every_next_try_and_is_charged_for_none_of_them() -> None:
    desk = Desk(attempts=2, deadline=60.0)
    await desk.put_out()
    door = desk.gate.door("default")
    door.probed(COMPLETED)
    assert desk.gate.door("default").state is State.HALF
    running = asyncio.create_task(desk.run(LOST, LOST, LOST, COMPLETED))
    for _ in range(3):
        await desk.clock.run(100.0)
        assert desk.gate.door("default").state is State.OUT
        door.probed(COMPLETED)
    await desk.clock.run(PAUSE)
    assert (await running).kind is Kind.COMPLETED
    assert desk.gate.door("default").state is State.HEALTHY
    assert desk.told == [(65, "retrying"), (66, "retrying"), (67, "retrying")]
    assert len(desk.ends_at) == 4


async def test_all_others_wait_while_the_canary_tries_and_their_time_has_not_begun() -> None:
    desk = Desk(deadline=60.0)
    await desk.put_out()
    desk.gate.door("default").probed(COMPLETED)
    gate = asyncio.Event()

    async def slow(_: Visit, __: Allowance) -> Verdict:
        await gate.wait()
        return COMPLETED

    canary = asyncio.create_task(
        desk.attempts.run("default", "task_1", slow, desk.replies, desk.progress)
    )
    await let_run()
    other = asyncio.create_task(desk.run(COMPLETED, key="task_2"))
    await desk.clock.run(100.0)
    assert desk.ends_at == []
    gate.set()
    assert [await canary, await other] == [COMPLETED, COMPLETED]
    assert desk.ends_at == [desk.clock.seconds + 60.0]


async def test_a_bug_in_an_attempt_is_raised_and_the_door_is_left() -> None:
    async def broken(_: Visit, __: Allowance) -> Verdict:
        raise ZeroDivisionError

    desk = Desk()
    await desk.put_out()
    door = desk.gate.door("default")
    door.probed(COMPLETED)
    with pytest.raises(ZeroDivisionError):
        await desk.attempts.run("default", "task_1", broken, desk.replies, desk.progress)
    assert door.canary is None
