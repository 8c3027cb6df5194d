"""A network that is out is closed, probed, tried by one job, and opened again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.conformance.script import Gate as Doorway
from tests.fakes import FakeAgent, Journal
from tests.unit.relay.flow import let_run, no_task_left
from tests.unit.relay.hourglass import Hourglass
from worker.core.brownout import State, Tolerance
from worker.core.verdict import COMPLETED, Source, Verdict, judge
from worker.relay.door import HELD_FOR, Visit
from worker.relay.gate import Gate
from worker.relay.keeper import IDLE, Keeper
from worker.relay.places import Limits
from worker.telemetry.logs import FIELDS
from worker.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio

LOST = judge(Source.CONNECTION_LOST)
ILL = judge(Source.STATUS, 503)
MUCH = 99
"""More failed probes than any test waits for."""


class FakePartitions:
    """Writes down what is done to it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def close(self) -> None:
        self._journal.add("close")

    def open_one(self) -> None:
        self._journal.add("open one")

    def open(self) -> None:
        self._journal.add("open")


@dataclass
class SlowAgent(FakeAgent):
    """Answers no probe while its gate is shut."""

    gate: Doorway = field(default_factory=Doorway)

    async def probe(self) -> Verdict:
        self.journal.add("ask")
        await self.gate.passed()
        return await super().probe()


class Brownouts(Metrics):
    """Counts them."""

    def __init__(self) -> None:
        self.networks: list[str] = []

    def browned_out(self, network: str) -> None:
        self.networks.append(network)


class House:
    """A keeper and what it keeps."""

    def __init__(self, agent: type[FakeAgent] = FakeAgent) -> None:
        self.journal = Journal()
        self.clock = Hourglass()
        self.agent = agent(self.clock, self.journal)
        self.partitions = FakePartitions(self.journal)
        limits = {name: Limits(9) for name in ("here", "there")}
        self.gate = Gate(limits, 9, Tolerance(3, 5.0), self.clock.port)
        self.brownouts = Brownouts()
        door, clock = self.gate.door("here"), self.clock.port
        self.keeper = Keeper(door, self.agent, self.partitions, clock, self.brownouts)

    async def news(self) -> list[str]:
        """Return what was done since it was asked last, once nobody moves."""
        await let_run()
        entries = self.journal.entries[:]
        self.journal.entries.clear()
        return entries

    async def run(self, seconds: float) -> list[str]:
        """Let time pass, and return what was done in it."""
        await self.clock.run(seconds)
        return await self.news()

    def break_down(self, network: str = "here") -> None:
        """Brown the network out."""
        visit = self.gate.visit(network)
        for number in range(3):
            self.gate.ended(visit, f"task_{number}", LOST)
        assert self.gate.door(network).state is State.OUT

    def be_ill(self, times: int, verdict: Verdict = ILL) -> None:
        """Let the next probes fail."""
        self.agent.unavailable.clear()
        self.agent.unavailable.extend([verdict] * times)

    async def half_open(self) -> None:
        """Break down, and let the first probe succeed."""
        self.break_down()
        assert await self.run(5.0) == ["close", "probe", "open one"]
        assert self.gate.door("here").state is State.HALF

    async def canary(self) -> Visit:
        """Return the job of the partition that was opened."""
        visit = self.gate.visit("here")
        assert await self.gate.admitted(visit)
        assert visit.canary
        return visit


@asynccontextmanager
async def kept(agent: type[FakeAgent] = FakeAgent) -> AsyncIterator[House]:
    """Run a keeper for the length of the context."""
    house = House(agent)
    with no_task_left():
        keeping = asyncio.create_task(house.keeper.run())
        await let_run()
        try:
            yield house
        finally:
            assert not keeping.done()
            keeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await keeping


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return the log lines of a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_a_healthy_network_is_left_alone() -> None:
    async with kept() as house:
        assert await house.run(3600.0) == []
        assert house.brownouts.networks == []


async def test_a_network_that_goes_out_is_closed_and_tells_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with kept() as house:
        house.be_ill(MUCH)
        house.break_down()
        assert await house.news() == ["close"]
        assert set(await house.run(600.0)) == {"probe"}
        assert house.brownouts.networks == ["here"]
    (line,) = told(caplog, logging.ERROR)
    assert "connection_lost" in line
    assert getattr(caplog.records[0], FIELDS) == {"network": "here"}


async def test_it_is_probed_with_growing_pauses() -> None:
    async with kept() as house:
        house.be_ill(MUCH)
        house.break_down()
        await house.news()
        for pause in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
            assert await house.run(pause - 0.1) == []
            assert await house.run(0.1) == ["probe"]


async def test_a_probe_that_succeeds_opens_one_and_a_job_that_succeeds_opens_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with kept() as house:
        await house.half_open()
        with await house.canary() as canary:
            await house.run(3.0)
            house.gate.ended(canary, "task_1", COMPLETED)
            assert await house.news() == ["open"]
        assert await house.run(600.0) == []
    (line,) = told(caplog, logging.INFO)
    assert "8 s" in line


async def test_a_key_that_is_not_taken_keeps_it_out() -> None:
    async with kept() as house:
        house.be_ill(3, judge(Source.STATUS, 401))
        house.break_down()
        assert await house.run(36.0) == ["close", "probe", "probe", "probe"]
        assert "unauthorized" in house.gate.brown()["here"]
        assert await house.run(40.0) == ["probe", "open one"]


async def test_a_pause_that_aui_asked_for_is_not_probed_into() -> None:
    async with kept() as house:
        visit = house.gate.visit("here")
        house.gate.ended(visit, "task_1", judge(Source.STATUS, 429, retry_after=100.0))
        assert await house.run(50.0) == ["close"]
        house.gate.ended(visit, "task_1", judge(Source.STATUS, 429, retry_after=100.0))
        assert await house.run(99.9) == []
        assert await house.run(0.2) == ["probe", "open one"]


async def test_a_canary_that_is_interrupted_keeps_its_partition_and_is_let_in_again() -> None:
    async with kept() as house:
        await house.half_open()
        with await house.canary() as canary:
            house.gate.ended(canary, "task_1", LOST)
            again = asyncio.create_task(house.gate.admitted(canary))
            assert await house.run(9.9) == []
            assert await house.run(0.2) == ["probe"]
            assert again.done()
            assert again.result()
            house.gate.ended(canary, "task_1", COMPLETED)
            assert await house.news() == ["open"]
        assert house.brownouts.networks == ["here"]


async def test_when_the_canary_ends_while_the_network_is_out_its_partition_is_closed() -> None:
    async with kept() as house:
        await house.half_open()
        with await house.canary() as canary:
            house.gate.ended(canary, "task_1", judge(Source.STATUS, 401))
            assert await house.news() == []
        assert await house.news() == ["close"]
        assert await house.run(10.0) == ["probe", "open one"]


async def test_when_the_canary_gives_up_its_partition_is_closed_at_once() -> None:
    async with kept() as house:
        await house.half_open()
        canary = await house.canary()
        house.be_ill(MUCH)
        house.gate.ended(canary, "task_1", LOST)
        giving_up = asyncio.create_task(house.gate.admitted(canary))
        assert set(await house.run(HELD_FOR - 1.0)) == {"probe"}
        assert [entry for entry in await house.run(1.0) if entry != "probe"] == ["close"]
        assert giving_up.done()
        assert not giving_up.result()
        house.be_ill(0)
        assert (await house.run(60.0))[:2] == ["probe", "open one"]


async def test_a_canary_that_leaves_during_a_probe_has_its_partition_closed_first() -> None:
    async with kept(SlowAgent) as house:
        assert isinstance(house.agent, SlowAgent)
        house.break_down()
        await house.run(5.0)
        with await house.canary() as canary:
            house.gate.ended(canary, "task_1", LOST)
            house.agent.gate.shut()
            assert await house.run(10.0) == ["ask"]
        assert await house.news() == ["close", "ask"]
        house.agent.gate.open()
        assert await house.news() == ["probe", "open one"]


async def test_one_job_after_another_may_try_it() -> None:
    async with kept() as house:
        await house.half_open()
        for _ in range(3):
            with await house.canary() as canary:
                house.gate.ended(canary, "task_1", judge(Source.DEADLINE))
                assert await house.run(IDLE - 1.0) == []
        with await house.canary() as canary:
            house.gate.ended(canary, "task_1", COMPLETED)
        assert await house.news() == ["open"]


async def test_without_a_job_to_try_it_a_second_probe_opens_it() -> None:
    async with kept() as house:
        await house.half_open()
        assert await house.run(IDLE - 0.1) == []
        assert await house.run(0.1) == ["probe", "open"]
        assert house.gate.door("here").state is State.HEALTHY


async def test_without_a_job_and_with_a_probe_that_fails_it_is_closed_again() -> None:
    async with kept() as house:
        await house.half_open()
        house.be_ill(1)
        assert await house.run(IDLE) == ["probe", "close"]
        assert house.gate.door("here").state is State.OUT
        assert await house.run(10.0) == ["probe", "open one"]
        assert house.brownouts.networks == ["here"]


async def test_the_second_probe_is_not_heard_when_a_job_comes_to_try_it() -> None:
    async with kept(SlowAgent) as house:
        assert isinstance(house.agent, SlowAgent)
        house.break_down()
        await house.run(5.0)
        house.agent.gate.shut()
        assert await house.run(IDLE) == ["ask"]
        with await house.canary() as canary:
            house.agent.gate.open()
            assert await house.run(600.0) == []
            assert house.gate.door("here").state is State.HALF
            house.gate.ended(canary, "task_1", COMPLETED)
            assert await house.news() == ["open"]


async def test_while_a_job_tries_it_it_is_not_probed_however_long_that_takes() -> None:
    async with kept() as house:
        await house.half_open()
        with await house.canary():
            assert await house.run(20 * IDLE) == []
        assert await house.run(IDLE) == ["probe", "open"]


async def test_every_brownout_is_told_and_counted_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with kept() as house:
        for number in (1, 2):
            await house.half_open()
            assert await house.run(IDLE) == ["probe", "open"]
            assert house.brownouts.networks == ["here"] * number
    assert len(told(caplog, logging.ERROR)) == 2
    assert len(told(caplog, logging.INFO)) == 2
    assert f"after {5 + IDLE:.0f} s" in told(caplog, logging.INFO)[1]


async def test_another_network_that_goes_out_is_none_of_its_business() -> None:
    async with kept() as house:
        house.break_down("there")
        assert await house.run(600.0) == []
