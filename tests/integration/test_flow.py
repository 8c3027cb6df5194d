"""The main job on a real RabbitMQ: what producers write and subscribers read."""

import asyncio
import json
from itertools import pairwise

import pytest
from harness import CANARY, Bench, settings, working

from worker.core.topology import task_exchange
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_updates_grow_in_order_and_the_final_is_last(served: Bench, sandbox: Sandbox) -> None:
    """Every update extends the one before, seq has no gap, and the final has the whole text."""
    hub = await served.hub()

    job = await served.say(sandbox.create_task("user").id, "a microwave")
    final = await hub.ended(job)

    texts = hub.texts(job)
    assert len(texts) > 5
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert [m.headers["aui-seq"] for m in hub.of(job)] == list(range(1, len(texts) + 2))
    assert hub.of(job)[-1] is final
    assert json.loads(final.body)["text"] == texts[-1]


async def test_a_reply_carries_what_the_contract_says(served: Bench, sandbox: Sandbox) -> None:
    """Key, type, ids, headers, content type and persistence are those of the contract."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    job = await served.say(
        task.id,
        "a microwave",
        message_id="wamid.HBg=",
        correlation_id="my-correlation",
        headers={"aui-channel": "sms", "traceparent": trace},
    )
    final = await hub.ended(job)

    assert final.routing_key == f"{served.network}.sms.{task.id}.final"
    assert final.message_id == f"wamid.HBg=:1:{final.headers['aui-seq']}"
    assert final.correlation_id == "my-correlation"
    assert final.content_type == "application/json"
    assert final.delivery_mode == 2
    assert final.headers["aui-task-id"] == task.id
    assert final.headers["aui-schema"] == 1
    assert final.headers["traceparent"] == trace
    assert hub.of(job)[0].delivery_mode == 1


async def test_the_task_exchange_has_every_reply_for_whoever_declares_first(
    served: Bench, sandbox: Sandbox
) -> None:
    """A subscriber that made the exchange of a new task before its first job misses nothing."""
    task = sandbox.create_task("user")
    spec = task_exchange(task.id)
    await served.channel.declare_exchange(
        spec.name, spec.type, durable=spec.durable, auto_delete=spec.auto_delete
    )
    watched, hub = await served.listen(spec.name, "#"), await served.hub()

    job = await served.say(task.id, "a microwave")
    await asyncio.gather(watched.ended(job), hub.ended(job))

    assert [m.message_id for m in watched.of(job)] == [m.message_id for m in hub.of(job)]


async def test_reply_to_gets_replies_of_every_kind(served: Bench, sandbox: Sandbox) -> None:
    """A queue named in reply_to gets what the hub gets."""
    hub = await served.hub()
    queue = f"sub.{served.network}"
    own = await served.listen("amq.direct", queue, name=queue)

    job = await served.say(
        sandbox.create_task("user").id, "!1011 times=1 | a microwave", reply_to=queue
    )
    await asyncio.gather(own.ended(job), hub.ended(job))

    assert [m.message_id for m in own.of(job)] == [m.message_id for m in hub.of(job)]
    assert {m.type for m in own.messages} == {
        "message.updated",
        "message.retrying",
        "message.completed",
    }


async def test_direct_reply_to_works_as_for_any_rpc_client(served: Bench, sandbox: Sandbox) -> None:
    """A caller that consumes amq.rabbitmq.reply-to gets its answer, and nothing is unclaimed."""
    done = asyncio.Event()
    kinds: list[str | None] = []
    channel = served.channel

    async def take(message: object) -> None:
        kinds.append(getattr(message, "type", None))
        if kinds[-1] == "message.completed":
            done.set()

    queue = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
    await queue.consume(take, no_ack=True)
    await served.say(
        sandbox.create_task("user").id, "a microwave", reply_to="amq.rabbitmq.reply-to"
    )

    async with asyncio.timeout(10):
        await done.wait()
    assert kinds.count("message.completed") == 1


@pytest.mark.parametrize("updates", ["off", "60000ms"])
async def test_a_producer_may_want_fewer_updates(
    served: Bench, sandbox: Sandbox, updates: str
) -> None:
    """``off`` sends none; an interval longer than the answer sends the first one."""
    hub = await served.hub()

    job = await served.say(
        sandbox.create_task("user").id, "a microwave", headers={"aui-updates": updates}
    )
    final = await hub.ended(job)

    expected = 0 if updates == "off" else 1
    assert len(hub.texts(job)) == expected
    assert final.headers["aui-seq"] == expected + 1


async def test_an_interval_thins_out_updates(served: Bench, sandbox: Sandbox) -> None:
    """At 100 ms an answer of half a second sends about five updates, the newest texts."""
    hub = await served.hub()

    job = await served.say(
        sandbox.create_task("user").id,
        "!load updates=50 interval=0.01 chunk=5",
        headers={"aui-updates": "100ms"},
    )
    await hub.ended(job)

    texts = hub.texts(job)
    assert 2 <= len(texts) <= 15
    assert all(len(later) > len(earlier) for earlier, later in pairwise(texts))


async def test_extra_fields_reach_aui_untouched(served: Bench, sandbox: Sandbox) -> None:
    """What a later AUI may accept is passed on as it is, nested and odd values too."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    extra = {"agent_variables": {"tier": "gold", "n": [1, None, 2.5, "é"]}, "static_context": "x"}

    await hub.ended(
        await served.publish({"task_id": task.id, "text": "hi", "context": None, **extra})
    )

    (message,) = sandbox.store.user_messages(task.id)
    assert {name: message.request[name] for name in extra} == extra


async def test_jobs_of_a_task_run_one_after_another(served: Bench, sandbox: Sandbox) -> None:
    """Ten messages sent at once are answered in order, each after the one before it."""
    task = sandbox.create_task("user")
    hub = await served.hub()

    jobs = [await served.say(task.id, f"message {n}") for n in range(10)]
    for job in jobs:
        await hub.ended(job)

    said = [message.text for message in sandbox.store.tasks[task.id].messages]
    assert said[::2] == [f"message {n}" for n in range(10)]
    order = [m.headers["aui-job-id"] for m in hub.messages if m.type == "message.completed"]
    assert order == jobs


async def test_one_slow_task_does_not_hold_up_another(served: Bench, sandbox: Sandbox) -> None:
    """A task that stalls leaves the others of its partition alone."""
    slow, quick = sandbox.create_task("slow"), sandbox.create_task("quick")
    hub = await served.hub()

    first = await served.say(slow.id, "!stall seconds=0.9 | a microwave")
    second = await served.say(quick.id, "a microwave")
    await asyncio.gather(hub.ended(first), hub.ended(second))

    order = [m.headers["aui-job-id"] for m in hub.messages if m.type == "message.completed"]
    assert order == [second, first]


async def test_waiting_for_a_place_is_not_the_jobs_time(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """With one open turn at a time, ten jobs are all asked, though the last waits past its time."""
    narrow = settings(amqp_url, sandbox, at.network, concurrency=1, job_deadline=2.5)
    async with working(narrow):
        hub = await at.hub()
        text = "!load updates=4 interval=0.1 chunk=5"
        jobs = [await at.say(sandbox.create_task("user").id, text) for _ in range(10)]
        finals = [await hub.ended(job) for job in jobs]

    assert {final.type for final in finals} == {"message.completed"}


async def test_the_sdk_dialect_reads_the_same(at: Bench, amqp_url: str) -> None:
    """Updates come out in the one canonical form, the final exactly as AUI sent it."""
    async with (
        Sandbox(api_key=CANARY, dialect="sdk", word_delay=0.0) as sdk,
        working(settings(amqp_url, sdk, at.network)),
    ):
        hub = await at.hub()
        job = await at.say(sdk.create_task("user").id, "a microwave")
        final = await hub.ended(job)

    assert len(hub.texts(job)) > 5
    answer = json.loads(final.body)
    assert "cards" in answer
    assert answer["text"] == hub.texts(job)[-1]
