"""The places of a network are taken with those of the process, and given back whatever happens."""

import asyncio

import pytest

from tests.unit.relay.flow import let_run
from worker.relay.places import Limits, Places

pytestmark = pytest.mark.anyio


async def test_free_places_are_there_at_once_and_only_so_many() -> None:
    places, of_all = Places(Limits(2)), asyncio.Semaphore(3)
    for _ in range(2):
        assert places.free(of_all)
        await places.take(of_all)
    assert not places.free(of_all)
    places.give_back(of_all)
    assert places.free(of_all)


async def test_the_places_of_the_process_are_shared() -> None:
    here, there, of_all = Places(Limits(2)), Places(Limits(2)), asyncio.Semaphore(1)
    await there.take(of_all)
    assert not here.free(of_all)
    there.give_back(of_all)
    assert here.free(of_all)


async def test_a_rate_is_never_free() -> None:
    assert not Places(Limits(2, rate=10.0)).free(asyncio.Semaphore(1))


async def test_who_gives_up_waiting_for_the_process_leaves_no_place_of_the_network_taken() -> None:
    places, of_all = Places(Limits(1)), asyncio.Semaphore(0)
    waiting = asyncio.create_task(places.take(of_all))
    await let_run()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    of_all.release()
    assert places.free(of_all)
