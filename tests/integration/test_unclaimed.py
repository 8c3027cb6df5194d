"""Terminal replies that nobody could take, on a real RabbitMQ."""

import json

import pytest
from harness import Bench, Got, got

from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.unheard]


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
        arguments={"x-max-length": 0, "x-overflow": "reject-publish"},
    )
    await full.bind("aui.replies", f"{served.network}.*.*.final")
    hub = await served.hub(f"{served.network}.*.*.failed")

    refused = await served.say(sandbox.create_task("u").id, "!final-only")
    other = await served.say(sandbox.create_task("u").id, "!400")
    kept = await unclaimed_of(served, refused)

    assert kept.headers["aui-unclaimed-reason"] == "refused"
    assert (await hub.ended(other)).type == "message.failed"


async def test_one_job_id_of_many_tasks_is_kept_for_each(served: Bench, sandbox: Sandbox) -> None:
    """Job ids are unique only within a task: the same one at once loses no answer."""
    tasks = {sandbox.create_task("user").id for _ in range(20)}
    queue = await served.channel.get_queue("aui.unclaimed", ensure=False)

    for task_id in tasks:
        await served.say(task_id, "!final-only", message_id="everyone's")
    kept = set()
    async with queue.iterator(timeout=20) as messages:
        async for message in messages:
            await message.ack()
            kept.add(message.headers["aui-task-id"])
            if kept >= tasks:
                break

    assert kept >= tasks


async def test_what_the_hub_refuses_is_kept_though_the_producer_has_it(
    served: Bench, sandbox: Sandbox
) -> None:
    """A full queue at the hub is a subscriber without its answer, whoever else got it."""
    full = await served.channel.declare_queue(
        exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
    )
    await full.bind("aui.replies", f"{served.network}.*.*.final")
    queue = f"sub.{served.network}"
    own = await served.listen("amq.direct", queue, name=queue)

    job = await served.say(sandbox.create_task("user").id, "!final-only", reply_to=queue)
    await own.ended(job)
    kept = await unclaimed_of(served, job)

    assert kept.headers["aui-unclaimed-reason"] == "refused"
