"""Parting: what waits for a silent broker is not waited for."""

import asyncio

import pytest

from worker.amqp import parting
from worker.amqp.parting import parted

pytestmark = pytest.mark.anyio


async def held_up(times: int) -> None:
    """Wait for a broker that never answers, and after being cancelled as often, no more."""
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def test_what_ends_is_parted_from_at_once() -> None:
    async def failed() -> None:
        raise OSError

    assert await parted(asyncio.create_task(held_up(0)), asyncio.create_task(failed()))


@pytest.mark.parametrize("times", [1, 3])
async def test_what_waits_for_the_broker_is_ended_all_the_same(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parting, "PARTING", 0.01)
    monkeypatch.setattr(parting, "AGAIN", 0.01)
    task = asyncio.create_task(held_up(times))
    await asyncio.sleep(0)
    assert not await parted(task)
    assert task.cancelled()
