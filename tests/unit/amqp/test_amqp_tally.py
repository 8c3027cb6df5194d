"""What is unconfirmed is counted; who waits for room gets it in turn."""

import asyncio

import pytest

from tests.unit.relay.flow import let_run
from worker.amqp.tally import Tally

pytestmark = pytest.mark.anyio


class Watch:
    """A clock in the test's hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    """Return a clock."""
    return Watch()


@pytest.fixture
def tally(watch: Watch) -> Tally:
    """Return a tally of three updates at most."""
    return Tally(3, watch.now)


def full(tally: Tally) -> Tally:
    """Fill the window."""
    while tally.room:
        tally.sent()
    return tally


async def queueing(tally: Tally, count: int) -> tuple[list[int], list[asyncio.Task[None]]]:
    """Let so many wait for room; return who came through, in order, and the tasks."""
    through: list[int] = []

    async def wait(number: int) -> None:
        await tally.turn()
        through.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(count)]
    await let_run()
    return through, tasks


def test_there_is_room_for_as_many_as_the_window_holds(tally: Tally) -> None:
    room = []
    for _ in range(3):
        room.append(tally.room)
        tally.sent()
    assert [*room, tally.room] == [True, True, True, False]
    tally.confirmed()
    assert tally.room


def test_what_is_awaited_takes_no_room(tally: Tally) -> None:
    with tally.awaiting(), tally.awaiting(), tally.awaiting():
        assert tally.room
        assert tally.awaited == 3
    assert tally.awaited == 0


@pytest.mark.parametrize("kind", ["update", "awaited"])
def test_a_confirm_is_overdue_when_none_has_come_for_so_long(
    tally: Tally, watch: Watch, kind: str
) -> None:
    watch.seconds += 100
    assert not tally.overdue(5)
    awaiting = tally.awaiting()
    if kind == "update":
        tally.sent()
    else:
        awaiting.__enter__()
    watch.seconds += 5
    assert not tally.overdue(5)
    watch.seconds += 1
    assert tally.overdue(5)
    if kind == "update":
        tally.confirmed()
    else:
        awaiting.__exit__(None, None, None)
    assert not tally.overdue(5)


def test_one_that_stays_away_while_others_come_is_not_overdue(tally: Tally, watch: Watch) -> None:
    tally.sent()
    watch.seconds += 4
    tally.sent()
    tally.confirmed()
    watch.seconds += 4
    assert not tally.overdue(5)
    with tally.awaiting() as heard:
        watch.seconds += 4
        assert tally.overdue(5)
        heard()
        assert not tally.overdue(5)
    watch.seconds += 6
    assert tally.overdue(5)


def test_what_is_given_up_is_no_answer(tally: Tally, watch: Watch) -> None:
    tally.sent()
    tally.sent()
    watch.seconds += 6
    tally.given_up()
    assert tally.overdue(5)
    tally.given_up()
    assert not tally.overdue(5)


async def test_as_many_go_on_as_there_is_room_for_and_in_turn(tally: Tally) -> None:
    through, tasks = await queueing(full(tally), 5)
    tally.confirmed()
    await let_run()
    first = list(through)
    tally.sent()
    tally.confirmed(2)
    await let_run()
    second = list(through)
    tally.confirmed()
    tally.stir()
    await asyncio.gather(*tasks)
    assert (first, second, through) == ([0], [0, 1, 2], [0, 1, 2, 3, 4])


async def test_a_turn_that_is_not_taken_goes_to_the_next(tally: Tally) -> None:
    through, tasks = await queueing(full(tally), 3)
    tasks[0].cancel()
    await let_run()
    tally.confirmed()
    tasks[1].cancel()
    await let_run()
    assert through == [2]
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("kind", ["awaited", "given up"])
async def test_who_waits_because_a_confirm_is_overdue_looks_again_when_it_is_not(
    tally: Tally, kind: str
) -> None:
    through, tasks = await queueing(tally, 2)
    if kind == "awaited":
        with tally.awaiting():
            pass
    else:
        tally.sent()
        tally.given_up()
    await let_run()
    assert through == [0, 1]
    await asyncio.gather(*tasks)


async def test_when_the_channel_is_gone_all_go_on(tally: Tally) -> None:
    through, tasks = await queueing(full(tally), 5)
    tally.close()
    await asyncio.gather(*tasks)
    assert through == [0, 1, 2, 3, 4]
