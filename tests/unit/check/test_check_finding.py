"""A step ends in a line, whatever becomes of it."""

import asyncio

import pytest

from worker.check.finding import Finding, State, fine, within
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio


async def test_what_was_found_is_told() -> None:
    async def look() -> Finding:
        return fine("a thing", "well")

    assert await within("a thing", look()) == Finding("a thing", State.OK, "well")


async def test_a_step_that_takes_too_long_has_failed() -> None:
    """And is over: the next one begins."""

    async def look() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    found = await within("a thing", look(), patience=0.01)
    assert found == Finding("a thing", State.FAILED, "no answer within 0.01 s")


async def test_a_broker_that_goes_away_in_a_step_has_failed_it() -> None:
    async def look() -> Finding:
        raise LinkLost("the broker fell silent")

    assert (await within("a thing", look())).said == "the broker fell silent"
