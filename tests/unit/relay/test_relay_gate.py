"""Nobody gets past the gate who has to wait, and no network waits for another."""

import asyncio
import random
from collections.abc import Awaitable

import pytest

from tests.fakes import Journal
from tests.unit.relay.flow import let_run, no_task_left
from tests.unit.relay.hourglass import Hourglass
from worker.core.brownout import State, Tolerance
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.door import HELD_FOR, Visit
from worker.relay.gate import Gate
from worker.relay.places import Limits

pytestmark = pytest.mark.anyio

LOST = judge(Source.CONNECTION_LOST)
MODERATED = judge(Source.STATUS, 400)


def limited(retry_after: float) -> Verdict:
    """AUI asks for a pause."""
    return judge(Source.STATUS, 429, retry_after=retry_after)


class Porch:
    """A gate to the networks `here` and `there`, and what a test does in front of it."""

    def __init__(
        self, here: int = 9, there: int = 9, everywhere: int = 9, rate: float | None = None
    ) -> None:
        self.clock = Hourglass()
        self.journal = Journal()
        limits = {"here": Limits(here, rate), "there": Limits(there)}
        self.gate = Gate(limits, everywhere, Tolerance(3, 5.0), self.clock.port)
        self.inside: list[str] = []
        self.refused: list[str] = []
        self._leaving: dict[str, asyncio.Event] = {}
        self._turns: dict[str, asyncio.Task[None]] = {}

    def come(self, *names: str, network: str = "here") -> None:
        """Let jobs come for one attempt each; whoever gets in stays until told to go."""
        for name in names:
            self._leaving[name] = asyncio.Event()
            self._turns[name] = asyncio.create_task(self._turn(name, network))

    async def go(self, *names: str) -> None:
        """Let jobs that are inside leave."""
        for name in names:
            self._leaving[name].set()
            await self._turns[name]

    async def cancel(self, *names: str) -> None:
        """Cancel jobs, wherever they are."""
        for name in names:
            self._turns[name].cancel()
        await asyncio.gather(*(self._turns[name] for name in names), return_exceptions=True)

    async def seen(self) -> list[str]:
        """Return who is inside, once nobody moves."""
        await let_run()
        return self.inside

    async def _turn(self, name: str, network: str) -> None:
        with self.gate.visit(network) as visit:
            async with self.gate.slot(visit) as admitted:
                if not admitted:
                    self.refused.append(name)
                    return
                self.inside.append(name)
                self.journal.add(name)
                try:
                    await self._leaving[name].wait()
                finally:
                    self.inside.remove(name)

    def end(self, visit: Visit, *verdicts: Verdict) -> None:
        """Let attempts of a visit end, each on another task."""
        for number, verdict in enumerate(verdicts):
            self.gate.ended(visit, f"task_{number}", verdict)

    def break_down(self) -> None:
        """Brown `here` out."""
        self.end(self.gate.visit("here"), LOST, LOST, LOST)
        assert self.gate.door("here").state is State.OUT

    def half_open(self) -> None:
        """Let a probe of `here` succeed."""
        self.gate.door("here").probed(COMPLETED)
        assert self.gate.door("here").state is State.HALF

    async def canary(self) -> Visit:
        """Return a visit that tries the half-open network."""
        visit = self.gate.visit("here")
        assert await self.gate.admitted(visit)
        assert visit.canary
        return visit


async def waiting(question: Awaitable[bool]) -> "asyncio.Task[bool]":
    """Ask, and return the question once it waits for its answer."""
    task = asyncio.ensure_future(question)
    await let_run()
    assert not task.done()
    return task


async def answer(question: "asyncio.Task[bool]") -> bool:
    """Return the answer, which must be there once nobody moves."""
    await let_run()
    assert question.done()
    return question.result()


async def test_a_healthy_network_admits_everybody() -> None:
    porch = Porch()
    visits = [porch.gate.visit("here") for _ in range(20)]
    assert [await porch.gate.admitted(visit) for visit in visits] == [True] * 20
    assert not any(visit.canary for visit in visits)
    assert (porch.gate.door("here").state, porch.gate.brown()) == (State.HEALTHY, {})
    assert porch.gate.door("here").state is not State.OUT


async def test_a_network_that_is_out_admits_nobody_and_the_others_do_not_notice() -> None:
    porch = Porch()
    before = porch.gate.visit("here")
    assert await porch.gate.admitted(before)
    porch.break_down()
    assert not await porch.gate.admitted(porch.gate.visit("here"))
    assert not await porch.gate.admitted(before)
    assert await porch.gate.admitted(porch.gate.visit("there"))
    assert list(porch.gate.brown()) == ["here"]
    assert "connection_lost" in porch.gate.brown()["here"]


async def test_a_pause_is_waited_for_and_no_longer() -> None:
    porch = Porch()
    porch.end(porch.gate.visit("here"), limited(7.0))
    assert porch.gate.door("here").state is not State.OUT
    questions = [await waiting(porch.gate.admitted(porch.gate.visit("here"))) for _ in range(3)]
    assert await porch.gate.admitted(porch.gate.visit("there"))
    await porch.clock.run(6.9)
    assert not any(question.done() for question in questions)
    await porch.clock.run(0.2)
    assert [await answer(question) for question in questions] == [True] * 3
    assert porch.clock.slept == [7.0] * 3


async def test_a_pause_that_is_made_longer_is_waited_for_as_well() -> None:
    porch = Porch()
    porch.end(porch.gate.visit("here"), limited(7.0))
    question = await waiting(porch.gate.admitted(porch.gate.visit("here")))
    await porch.clock.run(5.0)
    porch.end(porch.gate.visit("here"), limited(7.0))
    await porch.clock.run(6.9)
    assert not question.done()
    await porch.clock.run(0.2)
    assert await answer(question)


async def test_who_waits_is_turned_away_when_the_network_goes_out() -> None:
    porch = Porch()
    porch.end(porch.gate.visit("here"), limited(7.0))
    question = await waiting(porch.gate.admitted(porch.gate.visit("here")))
    porch.break_down()
    assert not await answer(question)
    assert porch.clock.sleeping == 0


async def test_half_open_one_job_at_a_time_is_admitted() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    others = [porch.gate.visit("here") for _ in range(3)]
    with porch.gate.visit("here") as first:
        assert await porch.gate.admitted(first)
        assert first.canary
        questions = [await waiting(porch.gate.admitted(visit)) for visit in others]
        assert await porch.gate.admitted(first)
        assert not any(question.done() for question in questions)
    assert await answer(questions[0])
    assert (others[0].canary, first.canary) == (True, False)
    assert not any(question.done() for question in questions[1:])
    assert list(porch.gate.brown()) == ["here"]
    porch.end(others[0], COMPLETED)
    assert [await answer(question) for question in questions[1:]] == [True, True]


async def test_jobs_that_came_to_a_half_open_network_are_held_with_its_canary() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary, other = await porch.canary(), porch.gate.visit("here")
    held = await waiting(porch.gate.admitted(other))
    porch.end(canary, LOST)
    late = porch.gate.visit("here")
    assert not await porch.gate.admitted(late)
    canary.door.leave(canary)
    await porch.clock.run(HELD_FOR - 1.0)
    assert not held.done()
    await porch.clock.run(1.0)
    assert not await answer(held)
    assert not porch.gate.door("here").held


async def test_a_canary_that_only_waits_for_an_answer_steps_aside() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    waits, tries = await porch.canary(), porch.gate.visit("here")
    question = await waiting(porch.gate.admitted(tries))
    waits.door.step_aside(waits)
    assert await answer(question)
    assert (waits.canary, waits.held, tries.canary) == (False, True, True)
    waits.door.step_aside(waits)
    assert tries.canary


async def test_the_canary_that_succeeds_opens_the_gate() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    porch.end(canary, MODERATED)
    assert (porch.gate.door("here").state, porch.gate.brown()) == (State.HEALTHY, {})
    assert not canary.canary
    assert await porch.gate.admitted(porch.gate.visit("here"))


async def test_half_open_only_the_canary_is_believed() -> None:
    porch = Porch()
    straggler = porch.gate.visit("here")
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    porch.end(straggler, COMPLETED, LOST)
    assert porch.gate.door("here").state is State.HALF
    porch.end(canary, LOST)
    assert porch.gate.door("here").state is State.OUT


async def test_the_canary_waits_until_the_network_may_be_tried_again() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    for _ in range(3):
        porch.end(canary, LOST)
        assert not await porch.gate.admitted(porch.gate.visit("here"))
        question = await waiting(porch.gate.admitted(canary))
        await porch.clock.run(200.0)
        assert not question.done()
        porch.half_open()
        assert await answer(question)
        assert canary.canary


async def test_the_patience_of_the_canary_is_counted_from_its_first_admission() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    await porch.clock.run(500.0)
    porch.end(canary, LOST)
    question = await waiting(porch.gate.admitted(canary))
    await porch.clock.run(HELD_FOR - 501.0)
    assert not question.done()
    await porch.clock.run(1.0)
    assert not await answer(question)
    assert not canary.canary
    assert porch.gate.door("here").canary is None


async def test_half_open_a_canary_is_admitted_however_long_it_has_been() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    await porch.clock.run(2 * HELD_FOR)
    assert await porch.gate.admitted(canary)
    porch.end(canary, LOST)
    assert not await porch.gate.admitted(canary)


async def test_once_the_network_is_healthy_its_canary_is_a_job_like_any_other() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    porch.end(canary, COMPLETED)
    porch.break_down()
    assert not await porch.gate.admitted(canary)


async def test_a_pause_while_half_open_is_waited_for_by_the_canary() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    porch.end(canary, limited(7.0))
    question = await waiting(porch.gate.admitted(canary))
    await porch.clock.run(6.9)
    assert not question.done()
    await porch.clock.run(0.2)
    assert await answer(question)


async def test_an_interruption_counts_only_while_the_network_is_well() -> None:
    porch = Porch()
    visit, elsewhere = porch.gate.visit("here"), porch.gate.visit("there")
    porch.end(visit, LOST)
    assert porch.gate.counts(visit)
    porch.end(visit, limited(7.0))
    assert not porch.gate.counts(visit)
    await porch.clock.run(7.1)
    assert porch.gate.counts(visit)
    porch.break_down()
    assert not porch.gate.counts(visit)
    porch.half_open()
    assert not porch.gate.counts(visit)
    assert porch.gate.counts(elsewhere)
    porch.end(await porch.canary(), COMPLETED)
    assert porch.gate.counts(visit)


async def test_when_quiet_only_who_had_a_place_before_may_go_on() -> None:
    porch = Porch()
    running, new = porch.gate.visit("here"), porch.gate.visit("here")
    assert await porch.gate.admitted(new)
    async with porch.gate.slot(running):
        porch.gate.quiet()
    assert [await porch.gate.admitted(visit) for visit in (running, new)] == [True, False]
    assert not await porch.gate.admitted(porch.gate.visit("there"))
    porch.end(running, limited(7.0))
    question = await waiting(porch.gate.admitted(running))
    await porch.clock.run(7.1)
    assert await answer(question)


async def test_when_quiet_who_had_a_place_may_have_another() -> None:
    porch = Porch()
    visit = porch.gate.visit("here")
    for _ in range(2):
        async with porch.gate.slot(visit) as admitted:
            assert admitted
        porch.gate.quiet()


async def test_when_quiet_who_was_only_turned_away_before_is_turned_away_again() -> None:
    porch = Porch()
    visit = porch.gate.visit("here")
    porch.break_down()
    assert not await porch.gate.admitted(visit)
    for _ in range(2):
        porch.gate.door("here").probed(COMPLETED)
    porch.gate.quiet()
    assert not await porch.gate.admitted(visit)


async def test_when_quiet_nobody_waits_who_was_not_admitted() -> None:
    porch = Porch(here=1, there=1)
    porch.come("running")
    porch.come("running there", network="there")
    await porch.seen()
    porch.come("in line")
    porch.end(porch.gate.visit("there"), limited(7.0))
    porch.come("in a pause", network="there")
    assert len(await porch.seen()) == 2
    porch.gate.quiet()
    assert len(await porch.seen()) == 2
    assert sorted(porch.refused) == ["in a pause", "in line"]
    await porch.go("running", "running there")


async def test_when_quiet_the_canary_does_not_wait_for_better_times() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    canary = await porch.canary()
    porch.end(canary, LOST)
    question = await waiting(porch.gate.admitted(canary))
    porch.gate.quiet()
    assert not await answer(question)


async def test_when_quiet_nobody_new_tries_a_half_open_network() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    porch.gate.quiet()
    assert not await porch.gate.admitted(porch.gate.visit("here"))
    assert porch.gate.door("here").canary is None


async def test_no_more_are_inside_than_a_network_has_places() -> None:
    porch = Porch(here=2)
    porch.come("a", "b", "c", "d")
    assert await porch.seen() == ["a", "b"]
    await porch.go("a")
    assert await porch.seen() == ["b", "c"]
    await porch.go("b", "c")
    assert await porch.seen() == ["d"]
    await porch.go("d")


async def test_no_more_are_inside_than_the_process_has_places() -> None:
    porch = Porch(everywhere=3)
    porch.come("a", "b")
    porch.come("c", "d", network="there")
    assert await porch.seen() == ["a", "b", "c"]
    await porch.go("b")
    assert await porch.seen() == ["a", "c", "d"]
    await porch.go("a", "c", "d")


async def test_a_network_that_waits_for_its_own_places_holds_none_of_the_others() -> None:
    porch = Porch(here=1, everywhere=2)
    porch.come("a", "b", "c", "d")
    assert await porch.seen() == ["a"]
    porch.come("e", network="there")
    assert await porch.seen() == ["a", "e"]
    await porch.cancel("b", "c", "d")
    await porch.go("a", "e")


async def test_a_network_that_waits_for_its_rate_holds_no_place_of_the_others() -> None:
    porch = Porch(everywhere=2, rate=0.01)
    porch.come("a", "b")
    assert await porch.seen() == ["a"]
    porch.come("c", network="there")
    assert await porch.seen() == ["a", "c"]
    await porch.go("a", "c")
    assert await porch.seen() == []
    await porch.cancel("b")


async def test_one_seconds_worth_of_messages_may_come_at_once() -> None:
    porch = Porch(rate=5.0)
    porch.come("a", "b", "c", "d", "e")
    assert await porch.seen() == ["a", "b", "c", "d", "e"]
    porch.come("f")
    await porch.journal.until("f")
    await porch.go("a", "b", "c", "d", "e", "f")


async def test_who_waits_for_a_place_is_turned_away_at_once_when_the_network_goes_out() -> None:
    porch = Porch(here=1)
    porch.come("a", "b", "c")
    await porch.seen()
    porch.break_down()
    assert await porch.seen() == ["a"]
    assert sorted(porch.refused) == ["b", "c"]
    await porch.go("a")


async def test_who_waits_for_the_rate_is_turned_away_at_once_when_the_network_goes_out() -> None:
    porch = Porch(rate=0.01)
    porch.come("a", "b")
    await porch.seen()
    porch.break_down()
    assert (await porch.seen(), porch.refused) == (["a"], ["b"])
    await porch.go("a")


async def test_who_waited_for_a_place_looks_again_and_waits_for_a_pause_without_it() -> None:
    porch = Porch(everywhere=1)
    porch.come("a", "b")
    assert await porch.seen() == ["a"]
    porch.end(porch.gate.visit("here"), limited(7.0))
    await porch.go("a")
    assert await porch.seen() == []
    porch.come("c", network="there")
    assert await porch.seen() == ["c"]
    await porch.go("c")
    await porch.clock.run(7.1)
    assert await porch.seen() == ["b"]
    await porch.go("b")


async def test_half_open_the_canary_alone_has_a_place() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    porch.come("a", "b")
    assert (await porch.seen(), porch.refused) == (["a"], [])
    await porch.go("a")
    assert (await porch.seen(), porch.refused) == (["b"], [])
    await porch.go("b")


async def test_what_goes_wrong_inside_comes_out_and_leaves_the_place() -> None:
    porch = Porch(here=1, everywhere=1)
    with porch.gate.visit("here") as visit:
        with pytest.raises(ZeroDivisionError):
            async with porch.gate.slot(visit):
                raise ZeroDivisionError
        async with porch.gate.slot(visit) as admitted:
            assert admitted


@pytest.mark.parametrize("where", ["inside", "in line", "in the line of all", "in a pause"])
async def test_who_is_cancelled_leaves_nothing_behind(where: str) -> None:
    crowds = {"in line": "here", "in the line of all": "there"}
    porch = Porch(here=2, everywhere=2)
    with no_task_left():
        if where in crowds:
            porch.come("1", "2", network=crowds[where])
        elif where == "in a pause":
            porch.end(porch.gate.visit("here"), limited(7.0))
        await let_run()
        porch.come("x")
        await let_run()
        await porch.cancel("x")
        assert porch.clock.sleeping == 0
        await porch.cancel(*porch.inside)
        await porch.clock.run(7.1)
        porch.come("a", "b", "c")
        assert await porch.seen() == ["a", "b"]
        await porch.cancel("a", "b", "c")


async def test_a_canary_that_is_cancelled_makes_room_for_another() -> None:
    porch = Porch()
    porch.break_down()
    porch.half_open()
    porch.come("a")
    await porch.seen()
    await porch.cancel("a")
    porch.come("b")
    assert await porch.seen() == ["b"]
    await porch.go("b")


async def happen(porch: Porch, chance: random.Random, names: list[str]) -> None:
    """Let something happen, or nothing."""
    match chance.randrange(8):
        case 0:
            await porch.cancel(chance.choice(names))
        case 1:
            porch.end(porch.gate.visit("here"), limited(3.0))
        case 2:
            porch.end(porch.gate.visit("here"), LOST, LOST, LOST)
        case 3:
            porch.gate.door("here").probed(COMPLETED)
        case 4 if porch.inside:
            await porch.go(chance.choice(porch.inside))
        case 5:
            await porch.clock.run(1.0)


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_happens_no_place_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    porch = Porch(here=3, there=2, everywhere=4)
    names = [f"job {number}" for number in range(60)]
    for number, name in enumerate(names):
        porch.come(name, network=chance.choice(["here", "there"]))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        await happen(porch, chance, names[: number + 1])
        assert len(porch.inside) <= 4
    await porch.cancel(*names)
    for _ in range(2):
        porch.gate.door("here").probed(COMPLETED)
    await porch.clock.run(10.0)
    porch.come("a", "b", "c", "d")
    assert await porch.seen() == ["a", "b", "c"]
    porch.come("e", "f", network="there")
    assert await porch.seen() == ["a", "b", "c", "e"]
    await porch.go("a", "b")
    assert sorted(await porch.seen()) == ["c", "d", "e", "f"]
    await porch.cancel("c", "d", "e", "f")
