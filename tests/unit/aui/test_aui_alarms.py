"""Many are rung for by few timers, never too early and little too late."""

import asyncio

import pytest

from worker.aui.alarms import Alarms, Sleeper

pytestmark = pytest.mark.anyio


class Asleep:
    """Notes when it is rung for."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self.at: list[float] = []

    def ring(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        self.rung.set()


class Dropping(Asleep):
    """Has the alarm of another dropped when it is rung for."""

    def __init__(self, alarms: Alarms) -> None:
        super().__init__()
        self.alarms = alarms
        self.other: Asleep | None = None
        self.due = 0.0

    def ring(self) -> None:
        super().ring()
        if self.other is not None:
            self.alarms.drop(self.due, self.other)


class Broken(Asleep):
    def ring(self) -> None:
        super().ring()
        raise ZeroDivisionError


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.05])
async def test_it_rings_once_and_not_too_early(delay: float) -> None:
    alarms, sleeper = Alarms(), Asleep()
    at = asyncio.get_running_loop().time() + delay

    due = alarms.set(at, sleeper)
    async with asyncio.timeout(5):
        await sleeper.rung.wait()

    assert at <= due <= at + max(delay, 0.001) / 16
    assert len(sleeper.at) == 1


@pytest.mark.parametrize("seconds", [0.02, 0.5, 1.0, 20.0, 60.0, 600.0])
async def test_a_wait_is_longer_by_one_part_in_32_at_the_most(seconds: float) -> None:
    alarms, sleeper = Alarms(), Asleep()
    now = asyncio.get_running_loop().time()
    for part in range(100):
        at = now + seconds + part / 97
        due = alarms.set(at, sleeper)
        assert at <= due <= at + (at - now) / 32 + 1e-9
        alarms.drop(due, sleeper)


async def test_those_who_wait_equally_long_share_a_few_timers() -> None:
    alarms = Alarms()
    now = asyncio.get_running_loop().time()
    crowd: list[Sleeper] = [Asleep() for _ in range(100)]

    due = {alarms.set(now + 60 + number / 100, each) for number, each in enumerate(crowd)}

    assert len(due) <= 2


async def test_who_is_dropped_is_not_rung_for_and_leaves_nothing_behind() -> None:
    alarms, sleeper, witness = Alarms(), Asleep(), Asleep()
    now = asyncio.get_running_loop().time()
    alarms.drop(alarms.set(now + 0.01, sleeper), sleeper)
    alarms.set(now + 0.02, witness)

    async with asyncio.timeout(5):
        await witness.rung.wait()

    assert sleeper.at == []
    alarms.drop(now + 0.02, witness)  # it has rung: nothing is left to be dropped


async def test_who_is_dropped_while_the_bell_rings_is_not_rung_for() -> None:
    alarms = Alarms()
    one, two = Dropping(alarms), Dropping(alarms)
    at = asyncio.get_running_loop().time() + 0.01
    one.due = two.due = alarms.set(at, one)
    assert alarms.set(at, two) == one.due
    one.other, two.other = two, one

    async with asyncio.timeout(5):
        await asyncio.wait(
            [asyncio.ensure_future(each.rung.wait()) for each in (one, two)],
            return_when=asyncio.FIRST_COMPLETED,
        )
    await asyncio.sleep(0)

    assert len(one.at) + len(two.at) == 1


async def test_one_that_breaks_does_not_keep_the_others_asleep() -> None:
    alarms, told = Alarms(), list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    at = loop.time() + 0.01
    crowd: list[Asleep] = [Asleep(), Broken(), Asleep()]
    for each in crowd:
        alarms.set(at, each)

    async with asyncio.timeout(5):
        for each in crowd:
            await each.rung.wait()

    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_who_sets_the_alarm_anew_when_it_rings_does_not_stop_the_loop() -> None:
    alarms = Alarms()
    turns = asyncio.Event()

    class Restless(Asleep):
        def ring(self) -> None:
            super().ring()
            if len(self.at) < 5:
                alarms.set(asyncio.get_running_loop().time(), self)
            else:
                turns.set()

    restless = Restless()
    alarms.set(asyncio.get_running_loop().time(), restless)
    async with asyncio.timeout(5):
        await turns.wait()

    assert len(restless.at) == 5
