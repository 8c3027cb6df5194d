"""A line to the broker that swallows everything without a word: only missed heartbeats tell."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from fault_proxy import FaultProxy
from harness import PATIENCE, Bench, settings, working

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true that nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def contains(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    """Tell whether the log has these words."""
    return words in caplog.text


@pytest.mark.timeout(120)
async def test_a_worker_notices_connects_again_and_goes_on(
    at: Bench, amqp_url: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Both links in mid-stream, one of them with updates on their way.

    The client library ends what waits on a dying connection with a cancellation that nobody
    asked for; none of it may reach a job, or end a part of the worker.
    """
    running, waiting = sandbox.create_task("user"), sandbox.create_task("user")
    async with FaultProxy(amqp_url) as proxy:
        quick = settings(f"{proxy.url}?heartbeat=1", sandbox, at.network)
        async with working(quick) as worker:
            hub = await at.hub()
            job = await at.say(running.id, "!load updates=100 interval=0.05")
            await hub.until(lambda _: len(hub.texts(job)) >= 3)
            proxy.blackhole()
            for lost in ("consuming link lost: ", "publishing link lost: the broker fell silent"):
                await until(partial(contains, caplog, lost))
            reasons = worker.not_ready()
            later = await at.say(waiting.id, "a microwave")
            proxy.heal()
            ends = [await hub.ended(each, patience=60) for each in (job, later)]
            await until(lambda: not worker.not_ready())

    assert reasons == [
        "publishing is not possible",
        f"network {at.network}: 3 of 3 queues not consumed",
    ]
    assert [end.type for end in ends] == ["message.completed"] * 2
    assert "CancelledError" not in caplog.text
    assert not [record for record in caplog.records if record.name == "asyncio"]
