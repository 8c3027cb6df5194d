"""A worker that the broker has given up begins nothing more: another has its jobs by then."""

import signal

import pytest
from harness import Bench, settings, working
from programs import running, said, serving

from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_a_worker_that_was_stopped_for_a_while_begins_nothing_it_had_before(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Its one place gets free as it wakes up, and a job has waited for that; it is done by now."""
    busy, waiting = sandbox.create_task("busy"), sandbox.create_task("waiting")
    env = serving(at.network, f"{amqp_url}?heartbeat=2", sandbox, WORKER_CONCURRENCY="1")
    async with running("run", env=env) as worker:
        hub = await at.hub()
        long = await at.say(busy.id, "!stall seconds=3 after=1 | a microwave")
        await hub.until(lambda _: bool(hub.texts(long)))
        short = await at.say(waiting.id, "hello")
        worker.send_signal(signal.SIGSTOP)
        async with working(settings(amqp_url, sandbox, at.network)):
            for job in (long, short):
                await hub.ended(job, patience=60)
            worker.send_signal(signal.SIGCONT)
            assert worker.stderr is not None
            await said(worker.stderr, "consuming link up")
            after = await at.say(waiting.id, "and then?")
            await hub.ended(after)

    for task, times in ((busy, 1), (waiting, 2)):
        assert len(sandbox.store.user_messages(task.id)) == times
