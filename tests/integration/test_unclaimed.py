"""Terminal replies that nobody could take, on a real RabbitMQ."""

import json

import pytest
from harness import Bench, Got, got

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def unclaimed_of(bench: Bench, job_id: str, *others: str) -> Got:
    """Take a job's reply out of aui.unclaimed; those of ``others`` must not be before it."""
    queue = await bench.channel.get_queue("aui.unclaimed", ensure=False)
    async with queue.iterator(timeout=20) as messages:
        async for message in messages:
            await message.ack()
            assert message.headers["aui-job-id"] not in others
            if message.headers["aui-job-id"] == job_id:
                return got(message)
    raise AssertionError("nothing came")


@pytest.mark.parametrize("text", ["a microwave", "!400"])
async def test_without_any_subscriber_the_end_is_kept(
    served: Bench, sandbox: Sandbox, text: str
) -> None:
    """Nobody listens to hub, task exchange or reply_to: the terminal reply is in aui.unclaimed."""
    task = sandbox.create_task("user")

    job = await served.say(task.id, text)
    kept = await unclaimed_of(served, job)

    assert kept.headers["aui-unclaimed-reason"] == "unrouted"
    kind = "failed" if text == "!400" else "final"
    assert kept.headers["aui-unclaimed-key"] == f"{served.network}.default.{task.id}.{kind}"
    assert json.loads(kept.body)


async def test_a_reply_to_that_is_there_claims_it(served: Bench, sandbox: Sandbox) -> None:
    """With nobody on the hub, the producer's own queue is enough."""
    queue = f"sub.{served.network}"
    own = await served.listen("amq.direct", queue, name=queue)

    claimed = await served.say(sandbox.create_task("user").id, "a microwave", reply_to=queue)
    await own.ended(claimed)
    nobody = await served.say(sandbox.create_task("user").id, "a microwave")
    kept = await unclaimed_of(served, nobody, claimed)

    assert kept.headers["aui-job-id"] == nobody


async def test_a_reply_to_that_is_gone_leaves_it_unclaimed(served: Bench, sandbox: Sandbox) -> None:
    """A producer that left loses nothing: its answer is kept."""
    job = await served.say(
        sandbox.create_task("user").id, "a microwave", reply_to="sub.gone-for-good"
    )
    kept = await unclaimed_of(served, job)

    assert kept.type == "message.completed"


async def test_a_full_queue_of_one_subscriber_holds_up_nobody(
    served: Bench, sandbox: Sandbox
) -> None:
    """A queue that refuses makes the broker refuse: after three tries the answer is kept."""
    full = await served.channel.declare_queue(
        f"sub.{served.network}.full",
        exclusive=True,
        arguments={"x-max-length": 1, "x-overflow": "reject-publish"},
    )
    await full.bind("aui.replies", f"{served.network}.*.*.final")

    jobs = [await served.say(sandbox.create_task("u").id, "!final-only") for _ in range(3)]
    kept = [await unclaimed_of(served, job) for job in jobs[1:]]

    assert [one.headers["aui-unclaimed-reason"] for one in kept] == ["refused", "refused"]
