"""One mandatory publish of a message id at a time."""

import asyncio

import pytest

from worker.amqp.alone import Alone

pytestmark = pytest.mark.anyio


async def travel(alone: Alone, message_id: str | None, under_way: list[str | None]) -> int:
    """Publish for a few loop turns; return how many of that id were under way at the most."""
    async with alone.by(message_id):
        under_way.append(message_id)
        most = under_way.count(message_id)
        for _ in range(3):
            await asyncio.sleep(0)
            most = max(most, under_way.count(message_id))
        under_way.remove(message_id)
        return most


async def test_two_of_one_id_never_travel_together() -> None:
    alone, under_way = Alone(), list[str | None]()

    most = await asyncio.gather(*(travel(alone, "same", under_way) for _ in range(10)))

    assert most == [1] * 10


async def test_others_do_not_wait() -> None:
    alone = Alone()
    async with (
        asyncio.timeout(1),
        alone.by("one"),
        alone.by("other"),
        alone.by(None),
        alone.by(None),
    ):
        entered = True

    assert entered


async def test_nothing_is_remembered_of_what_has_travelled() -> None:
    alone, under_way = Alone(), list[str | None]()
    await asyncio.gather(*(travel(alone, f"{n % 3}", under_way) for n in range(9)))
    before = set(vars(alone))

    assert all(not vars(alone)[name] for name in before)


async def test_one_that_is_cut_off_lets_the_next_one_go() -> None:
    alone = Alone()

    async def stay() -> None:
        async with alone.by("same"):
            await asyncio.Event().wait()

    first = asyncio.create_task(stay())
    await asyncio.sleep(0)
    first.cancel()

    async with asyncio.timeout(1), alone.by("same"):
        assert first.done() or first.cancelling()
