"""Jobs by user: which task they go to, on a real RabbitMQ."""

import asyncio
import json

import pytest
from harness import CANARY, Bench, settings, working

from worker.core.slots import slot_of
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_new_user_gets_a_task_and_it_is_announced(served: Bench, sandbox: Sandbox) -> None:
    """`created` comes first with AUI's task object, then the answer, all with the user id."""
    hub = await served.hub()

    job = await served.publish({"user_id": "+49 170 1234567", "text": "a microwave"})
    final = await hub.ended(job)

    (task,) = sandbox.store.tasks_of("+49 170 1234567")
    created = hub.of(job)[0]
    assert created.type == "task.created"
    assert created.routing_key == f"{served.network}.default.{task.id}.created"
    assert json.loads(created.body)["id"] == task.id
    assert final.headers["aui-task-id"] == task.id
    assert {m.headers["aui-user-id"] for m in hub.of(job)} == {"+49 170 1234567"}
    places = [(m.headers["aui-attempt"], m.headers["aui-seq"]) for m in hub.of(job)]
    assert places == sorted(set(places))


async def test_two_quick_messages_of_a_new_user_are_one_conversation(
    served: Bench, sandbox: Sandbox
) -> None:
    """The second message finds the task that the first one made."""
    hub = await served.hub()

    jobs = [await served.publish({"user_id": "quick", "text": f"message {n}"}) for n in range(3)]
    await asyncio.gather(*(hub.ended(job) for job in jobs))

    (task,) = sandbox.store.tasks_of("quick")
    assert [m.text for m in sandbox.store.user_messages(task.id)] == [
        "message 0",
        "message 1",
        "message 2",
    ]
    assert [m.type for m in hub.messages].count("task.created") == 1


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_known_user_goes_on_in_the_latest_task(
    at: Bench, amqp_url: str, newest_first: bool
) -> None:
    """Whichever way AUI sorts, and over more than one page, the newest task is found."""
    async with (
        Sandbox(api_key=CANARY, word_delay=0.0, newest_first=newest_first) as sandbox,
        working(settings(amqp_url, sandbox, at.network)),
    ):
        old = [sandbox.create_task("known", f"{0x60000000 + n:08x}{n:016x}") for n in range(120)]
        latest = sandbox.create_task("known")
        hub = await at.hub()

        await hub.ended(await at.publish({"user_id": "known", "text": "a microwave"}))

        assert len(sandbox.store.user_messages(latest.id)) == 1
        assert not any(sandbox.store.user_messages(task.id) for task in old)


async def test_a_new_conversation_may_be_asked_for(served: Bench, sandbox: Sandbox) -> None:
    """`aui-conversation: new` makes a task even for a user who has one, and later jobs use it."""
    before = sandbox.create_task("starts over")
    hub = await served.hub()

    await hub.ended(
        await served.publish(
            {"user_id": "starts over", "text": "start over"}, headers={"aui-conversation": "new"}
        )
    )
    await hub.ended(await served.publish({"user_id": "starts over", "text": "and go on"}))

    after = next(task for task in sandbox.store.tasks_of("starts over") if task.id != before.id)
    assert len(sandbox.store.user_messages(after.id)) == 2
    assert not sandbox.store.user_messages(before.id)


async def test_the_key_may_be_the_user_id_itself(served: Bench, sandbox: Sandbox) -> None:
    """A producer that knows nothing of slots publishes with the user id as routing key."""
    hub = await served.hub()

    job = await served.publish({"user_id": "plain", "text": "a microwave"}, key="plain")
    final = await hub.ended(job)

    assert final.type == "message.completed"
    assert len(sandbox.store.tasks_of("plain")) == 1


async def test_extra_fields_survive_finding_the_task(served: Bench, sandbox: Sandbox) -> None:
    """What reaches AUI is the producer's body with the task id in front."""
    hub = await served.hub()
    raw = b'{ "user_id": "exact", "text": "hi", "n": 1.000000000000000000001, "e": "\\u00e9" }'

    await hub.ended(await served.publish(raw, key=slot_of("exact")))

    (task,) = sandbox.store.tasks_of("exact")
    (message,) = sandbox.store.user_messages(task.id)
    assert message.request["e"] == "é"
    assert message.request["task_id"] == task.id


async def test_while_aui_is_down_the_job_waits_and_then_fails_on_its_reply_to_and_the_hub(
    served: Bench, sandbox: Sandbox
) -> None:
    """No task can be found: retried, then dead-lettered, and the user's bot is told."""
    sandbox.fault(rest={"status": 503})
    hub, dead = await served.hub(), await served.dead()

    job = await served.publish({"user_id": "unlucky", "text": "hi"})
    failed = await hub.ended(job)
    (letter,) = await dead.until(lambda letters: len(letters) == 1)

    assert failed.routing_key == f"{served.network}.default._.failed"
    assert failed.headers["aui-user-id"] == "unlucky"
    assert failed.headers["aui-reason"] == "upstream_error"
    assert letter.routing_key == f"{served.network}.default._.upstream_error"
    assert len(json.loads(str(letter.headers["aui-dead-attempts"]))) == 3
