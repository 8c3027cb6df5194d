"""Before a message is sent again its task's history is looked at, for as long as may help."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from tests.conformance.script import Gate
from tests.fakes import FakeAgent, ManualClock
from tests.unit.relay.flow import job_of, let_run, message
from worker.core import headers as h
from worker.core.asked import Asked
from worker.core.brownout import Tolerance
from worker.core.envelope import Envelope
from worker.core.history import TOLD, UNTOLD, Patience, Previous
from worker.core.said import Said
from worker.core.verdict import POSTPONED, Kind, Source, Verdict, judge
from worker.relay import gate
from worker.relay.memory import Memory
from worker.relay.places import Limits
from worker.relay.recovery import LOOKS_AT_ONCE, Recovery

pytestmark = pytest.mark.anyio

NEVER = 1e9
DOWN = judge(Source.STATUS, 503)


@dataclass
class Later(FakeAgent):
    """AUI of whose history more is to be seen as the time goes by."""

    shown_at: dict[str, float] = field(default_factory=dict)

    def say_later(self, seconds: float, text: str, *, by_user: bool = False) -> Said:
        """Say something now that the history shows in so many seconds."""
        said = self.say("task_1", text, by_user=by_user)
        self.shown_at[said.id] = self.clock.seconds + seconds
        return said

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        now = self.clock.seconds
        history = await super().task_messages(task_id)
        return [said for said in history if self.shown_at.get(said.id, now) <= now]


class Desk:
    """Looks for the answer to "yes" of `task_1`, which may have been sent just now."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.agent = Later(self.clock)
        self.agent.histories["task_1"] = []
        self.memory = Memory()
        self.recovery = Recovery({"default": self.agent}, self.memory, self.clock.port)
        self.gate = gate.Gate({"default": Limits(9)}, 9, Tolerance(3), self.clock.port)
        self.visit = self.gate.visit("default")
        self.asked = Asked(maybe=True, since=self.clock.seconds, patience=UNTOLD)

    def yes(self) -> Said:
        """Have it said."""
        return self.agent.say("task_1", "yes", by_user=True)

    def sure(self) -> Said:
        """Have it answered."""
        return self.agent.say("task_1", "sure", by_user=False)

    async def find(
        self,
        envelope: Envelope | None = None,
        *,
        ends_at: float = NEVER,
        twin: Callable[[], bool] = lambda: False,
    ) -> Said | Verdict | None:
        """Find the answer, or not."""
        job = job_of(envelope or message(text="yes", timestamp=self.clock.utc()))
        return await self.recovery.find(
            job, "task_1", self.asked, self.visit, ends_at, twin_behind=twin
        )

    @property
    def looks(self) -> int:
        """How often the history was asked for."""
        return self.agent.calls.count("task_messages")


async def test_an_answer_that_is_there_is_found_at_once() -> None:
    desk = Desk()
    asked, answer = desk.yes(), desk.sure()
    assert await desk.find() == answer
    assert (desk.looks, desk.clock.slept) == (1, [])
    assert desk.asked.ours == {asked.id}


@pytest.mark.parametrize(
    ("patience", "slept"),
    [(TOLD, [0.25, 0.5, 1.0, 0.25]), (UNTOLD, [0.25, 0.5, 1.0, *[2.0] * 14, 0.25])],
)
async def test_an_unanswered_message_is_looked_at_until_no_answer_can_be_expected(
    patience: Patience, slept: list[float]
) -> None:
    desk = Desk()
    asked = desk.yes()
    desk.asked.patience = patience
    assert await desk.find() is None
    assert desk.clock.slept == slept
    assert sum(slept) == patience.answer
    assert desk.looks == len(slept) + 1
    assert desk.asked.ours == {asked.id}


@pytest.mark.parametrize(("patience", "seconds"), [(TOLD, 2.0), (UNTOLD, 5.0)])
async def test_an_absent_message_is_looked_for_as_long_as_the_history_may_lag(
    patience: Patience, seconds: float
) -> None:
    desk = Desk()
    desk.asked.patience = patience
    assert await desk.find() is None
    assert sum(desk.clock.slept) == seconds


async def test_what_was_sent_long_ago_is_looked_for_once() -> None:
    desk = Desk()
    desk.yes()
    desk.clock.seconds += UNTOLD.answer
    assert await desk.find() is None
    assert (desk.looks, desk.clock.slept) == (1, [])


async def test_an_answer_is_found_as_soon_as_it_shows() -> None:
    desk = Desk()
    desk.yes()
    answer = desk.agent.say_later(20.0, "sure")
    began = desk.clock.seconds
    assert await desk.find() == answer
    assert 20.0 <= desk.clock.seconds - began <= 22.0


async def test_a_message_that_shows_late_is_waited_for_as_one_that_was_there() -> None:
    desk = Desk()
    desk.agent.say_later(4.5, "yes", by_user=True)
    answer = desk.agent.say_later(29.0, "sure")
    assert await desk.find() == answer


async def test_a_message_that_shows_too_late_is_sent_again() -> None:
    desk = Desk()
    desk.agent.say_later(5.5, "yes", by_user=True)
    assert await desk.find() is None
    assert desk.asked.ours == set()


@pytest.mark.parametrize(
    ("verdict", "kind"), [(DOWN, Kind.INTERRUPTED), (judge(Source.STATUS, 401), Kind.REJECTED)]
)
async def test_a_history_that_is_not_to_be_had_is_a_verdict_and_no_licence_to_send(
    verdict: Verdict, kind: Kind
) -> None:
    desk = Desk()
    desk.clock.seconds += NEVER
    desk.agent.unavailable.append(verdict)
    assert await desk.find() == verdict
    assert verdict.kind is kind


async def test_a_task_that_aui_does_not_know_is_not_found() -> None:
    desk = Desk()
    desk.agent.histories.clear()
    found = await desk.find()
    assert isinstance(found, Verdict)
    assert found.reason == "not_found"


async def test_a_history_that_fails_between_two_looks_is_a_verdict_too() -> None:
    desk = Desk()
    desk.yes()
    desk.clock.gate.shut()
    finding = asyncio.create_task(desk.find())
    await desk.clock.gate.reached()
    desk.agent.unavailable.append(DOWN)
    desk.clock.gate.open()
    assert await finding == DOWN
    assert desk.looks == 2


async def test_nobody_looks_on_when_the_time_of_the_job_is_over() -> None:
    desk = Desk()
    desk.yes()
    desk.agent.say_later(25.0, "too late")
    ends_at = desk.clock.seconds + 10.0
    found = await desk.find(ends_at=ends_at)
    assert isinstance(found, Verdict)
    assert (found.kind, found.reason) == (Kind.REJECTED, "deadline_exceeded")
    assert ends_at <= desk.clock.seconds <= ends_at + 2.0


async def test_an_answer_counts_even_at_the_end_of_the_time() -> None:
    desk = Desk()
    desk.yes()
    answer = desk.sure()
    assert await desk.find(ends_at=desk.clock.seconds) == answer


async def test_without_any_anchor_the_last_exchange_is_taken_and_told_as_ambiguous(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    desk.yes()
    answer = desk.sure()
    assert await desk.find(message(text="yes")) == answer
    (record,) = caplog.records
    assert (record.levelno, "job_1" in record.message) == (logging.WARNING, True)


async def test_what_was_said_before_the_job_was_published_is_not_its_own() -> None:
    desk = Desk()
    desk.yes()
    desk.sure()
    published = desk.clock.utc() + timedelta(seconds=6)
    desk.clock.seconds += 60.0
    assert await desk.find(message(text="yes", timestamp=published)) is None
    assert desk.asked.ours == set()


async def test_what_was_said_before_it_was_first_sent_is_not_its_own() -> None:
    desk = Desk()
    desk.yes()
    desk.sure()
    desk.asked.sent = desk.clock.utc().timestamp() + 3.0
    assert await desk.find(message(text="yes")) is None


async def test_what_was_said_up_to_the_previous_answer_is_not_its_own() -> None:
    desk = Desk()
    desk.yes()
    previous = desk.sure()
    desk.memory.answered("default", "task_1", Previous(previous.id))
    assert await desk.find(message(text="yes")) is None
    desk.yes()
    answer = desk.agent.say("task_1", "of course", by_user=False)
    assert await desk.find(message(text="yes")) == answer


async def test_what_belongs_to_an_earlier_job_is_not_its_own() -> None:
    desk = Desk()
    earlier = desk.yes()
    desk.memory.claim("default", "task_1", [earlier.id])
    assert await desk.find() is None
    assert desk.asked.ours == set()


async def test_another_network_is_asked_for_its_own_history() -> None:
    desk = Desk()
    desk.yes()
    desk.sure()
    other = FakeAgent(desk.clock)
    other.say("task_1", "yes", by_user=True)
    answer = other.say("task_1", "elsewhere", by_user=False)
    desk.recovery = Recovery({"default": desk.agent, "acme": other}, desk.memory, desk.clock.port)
    assert await desk.find(replace(message(text="yes"), network="acme")) == answer


async def test_of_equal_texts_the_first_is_ours_while_a_later_job_may_have_sent_the_other() -> None:
    desk = Desk()
    first, answer = desk.yes(), desk.sure()
    desk.yes()
    later = desk.agent.say("task_1", "of course", by_user=False)
    assert await desk.find(twin=lambda: True) == answer
    assert desk.asked.ours == {first.id}
    assert await desk.find(twin=lambda: False) == later


async def test_whether_there_is_a_later_job_is_asked_before_every_look() -> None:
    desk = Desk()
    desk.yes()
    desk.agent.say_later(1.0, "sure")
    desk.agent.say_later(1.0, "yes", by_user=True)
    later = desk.agent.say_later(1.0, "of course")
    twins = iter([True, True, True, False])
    assert await desk.find(twin=lambda: next(twins)) == later


async def test_a_copy_may_have_been_followed_by_later_jobs() -> None:
    desk = Desk()
    desk.yes()
    answer = desk.sure()
    desk.agent.say("task_1", "and a fridge", by_user=True)
    stamped = desk.clock.utc()
    copy = message(text="yes", timestamp=stamped, headers={h.MAYBE_SENT: True})
    assert await desk.find(copy) == answer
    assert await desk.find(message(text="yes", timestamp=stamped)) is None


async def test_only_so_many_look_at_the_same_time() -> None:
    class Slow(FakeAgent):
        gate = Gate().shut()
        looking = 0

        async def task_messages(self, task_id: str) -> Sequence[Said]:
            self.looking += 1
            await self.gate.passed()
            self.looking -= 1
            return await super().task_messages(task_id)

    desk = Desk()
    desk.yes()
    desk.sure()
    slow = Slow(desk.clock, histories=desk.agent.histories)
    desk.recovery = Recovery({"default": slow}, desk.memory, desk.clock.port)
    finding = [asyncio.create_task(desk.find()) for _ in range(LOOKS_AT_ONCE + 5)]
    await let_run()
    assert slow.looking == LOOKS_AT_ONCE
    Slow.gate.open()
    found = await asyncio.gather(*finding)
    assert all(isinstance(one, Said) for one in found)


async def test_a_network_that_goes_out_ends_the_looking() -> None:
    """Its job goes back to its queue; whoever has it next looks again."""
    desk = Desk()
    desk.yes()
    desk.clock.gate.shut()
    looking = asyncio.create_task(desk.find())
    await desk.clock.gate.reached()
    for number in range(3):
        desk.gate.ended(desk.gate.visit("default"), f"task_{number}", judge(Source.STATUS, 503))
    assert await looking is POSTPONED
    assert desk.looks == 1


async def test_a_worker_that_stops_leaves_the_looking_to_the_next_one() -> None:
    desk = Desk()
    desk.yes()
    desk.clock.gate.shut()
    looking = asyncio.create_task(desk.find())
    await desk.clock.gate.reached()
    desk.gate.quiet()
    assert await looking is POSTPONED
    assert desk.looks == 1
