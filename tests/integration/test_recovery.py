"""Nobody is asked twice: answers are found in AUI's history, on a real broker and sandbox."""

import json
import signal
from datetime import UTC, datetime

import pytest
from fault_proxy import FaultProxy
from harness import Bench, Got, settings, working
from programs import running, serving

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def asked(sandbox: Sandbox, task_id: str) -> list[str]:
    """Return what the user said in a task."""
    return [said.text for said in sandbox.store.user_messages(task_id)]


def answer_of(final: Got) -> str:
    """Return the id of an answer."""
    assert final.type == "message.completed"
    return str(json.loads(final.body)["id"])


def answers_in(sandbox: Sandbox, task_id: str) -> list[str]:
    """Return the ids of the answers in a task's history, oldest first."""
    messages = sandbox.store.tasks[task_id].messages
    return [message.id for message in messages if message.sender == "agent"]


@pytest.mark.parametrize(
    "text",
    [
        "!1011 after=3 answered=yes | a microwave",
        "!cut after=3 | a microwave",
        "!reset after=1 | a microwave",
        "!close code=1000 after=2 | a microwave",
        "!cut after=1 lag=2 | a microwave",
        "!garbage after=1 answered=yes | a microwave",
    ],
)
async def test_an_answer_that_was_lost_on_its_way_is_found(
    served: Bench, sandbox: Sandbox, text: str
) -> None:
    """The agent is asked once, and its answer handed on as it is in the history."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    final = await hub.ended(await served.say(task.id, text))

    assert answer_of(final) == answers_in(sandbox, task.id)[-1]
    assert final.headers["aui-recovered"] is True
    assert asked(sandbox, task.id) == [text]


async def test_two_equal_texts_in_a_row_get_an_answer_each(served: Bench, sandbox: Sandbox) -> None:
    """Both answers are lost, and both found."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    jobs = [await served.say(task.id, "!cut after=1 | yes") for _ in range(2)]
    finals = [await hub.ended(job) for job in jobs]

    assert [answer_of(final) for final in finals] == answers_in(sandbox, task.id)
    assert asked(sandbox, task.id) == ["!cut after=1 | yes"] * 2


async def test_a_history_that_is_not_to_be_had_is_no_licence_to_ask_again(
    served: Bench, sandbox: Sandbox
) -> None:
    """It is tried again, and then found."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    sandbox.fault(rest={"status": 503, "times": 1})
    final = await hub.ended(await served.say(task.id, "!cut after=1 | a microwave"))

    assert final.headers["aui-recovered"] is True
    assert len(asked(sandbox, task.id)) == 1
    reasons = [m.headers.get("aui-reason") for m in hub.messages if m.type == "message.retrying"]
    assert reasons[-2:] == ["connection_lost", "upstream_error"]


async def test_the_same_job_twice_is_answered_twice_and_asked_once(
    served: Bench, sandbox: Sandbox
) -> None:
    """The second gets the first one's answer, on its own terms."""
    task = sandbox.create_task("user")
    hub = await served.hub()
    first = await hub.ended(await served.say(task.id, "a microwave", message_id="wamid.1"))
    await served.say(task.id, "a microwave", message_id="wamid.1", correlation_id="again")
    await hub.until(lambda _: len(hub.terminals("wamid.1")) == 2)
    second = hub.terminals("wamid.1")[1]

    assert (second.body, second.message_id) == (first.body, first.message_id)
    assert [first.correlation_id, second.correlation_id] == ["wamid.1", "again"]
    assert len(asked(sandbox, task.id)) == 1


async def test_a_turn_goes_on_while_its_delivery_comes_again(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Cut in mid-stream: the redelivery joins the turn; one question, one final."""
    task = sandbox.create_task("user")
    async with (
        FaultProxy(amqp_url) as proxy,
        working(settings(proxy.url, sandbox, at.network)),
    ):
        hub = await at.hub()
        job = await at.say(task.id, "!load updates=40 interval=0.05 chunk=5")
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        proxy.cut()
        await hub.ended(job)
        await hub.ended(await at.say(task.id, "and then?"))

    assert len(hub.terminals(job)) == 1
    assert len(asked(sandbox, task.id)) == 2


@pytest.mark.parametrize("dated", [True, False])
async def test_the_answer_to_a_dead_worker_is_found_by_the_next(
    at: Bench, amqp_url: str, sandbox: Sandbox, dated: bool
) -> None:
    """SIGKILL in mid-stream: AUI goes on answering, and nobody asks it again."""
    task = sandbox.create_task("user")
    env = serving(at.network, amqp_url, sandbox)
    text = "!load updates=40 interval=0.05 chunk=5"
    more = {"timestamp": datetime.now(UTC)} if dated else {}
    async with running("run", env=env) as worker:
        hub = await at.hub()
        job = await at.say(task.id, text, **more)
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        worker.send_signal(signal.SIGKILL)
        await worker.communicate()

    async with working(settings(amqp_url, sandbox, at.network)):
        final = await hub.ended(job)

    assert answer_of(final) == answers_in(sandbox, task.id)[-1]
    assert final.headers["aui-recovered"] is True
    assert final.headers["aui-attempt"] > 64
    assert asked(sandbox, task.id) == [text]


async def test_two_equal_texts_are_told_apart_across_a_crash(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The first is answered and the second under way when the worker dies: each gets its own."""
    task = sandbox.create_task("user")
    env = serving(at.network, amqp_url, sandbox)
    text = "!load updates=20 interval=0.05 chunk=5"
    async with running("run", env=env) as worker:
        hub = await at.hub()
        now = datetime.now(UTC)
        jobs = [await at.say(task.id, text, timestamp=now) for _ in range(2)]
        await hub.ended(jobs[0])
        await hub.until(lambda _: len(hub.texts(jobs[1])) >= 3)
        worker.send_signal(signal.SIGKILL)
        await worker.communicate()

    async with working(settings(amqp_url, sandbox, at.network)):
        finals = [(await hub.ended(jobs[0])), await hub.ended(jobs[1])]

    assert [answer_of(final) for final in finals] == answers_in(sandbox, task.id)
    assert {answer_of(final) for final in hub.terminals(jobs[0])} == {answer_of(finals[0])}
    assert asked(sandbox, task.id) == [text] * 2
