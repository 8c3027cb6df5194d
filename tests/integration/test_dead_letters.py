"""Dead letters, and what the broker itself gives up, on a real RabbitMQ."""

import json
from datetime import datetime

import aio_pika
import pytest
from harness import Bench, Inbox, bench, settings, working

from worker.app import running
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_letter_has_all_that_is_known(served: Bench, sandbox: Sandbox) -> None:
    """Reason, status, close code, AUI's payload, the attempts and the text so far."""
    task = sandbox.create_task("user")
    dead = await served.dead()
    text = "!1008 after=3 status=400 | a microwave"

    job = await served.say(
        task.id, text, headers={"aui-channel": "sms", "mine": "kept"}, correlation_id="c-1"
    )
    (letter,) = await dead.until(lambda letters: len(letters) == 1)
    headers = letter.headers

    assert json.loads(letter.body) == {"task_id": task.id, "text": text}
    assert letter.routing_key == f"{served.network}.sms.{task.id}.bad_request"
    assert (letter.message_id, letter.correlation_id) == (job, "c-1")
    assert headers["mine"] == "kept"
    assert headers["aui-dead-reason"] == "bad_request"
    assert headers["aui-dead-status-code"] == 400
    assert headers["aui-dead-close-code"] == 1008
    assert json.loads(str(headers["aui-dead-error"]))["status_code"] == 400
    assert len(str(headers["aui-dead-text"]).split()) == 3
    assert datetime.fromisoformat(str(headers["aui-dead-at"])).tzinfo is not None
    (attempt,) = json.loads(str(headers["aui-dead-attempts"]))
    assert (attempt["attempt"], attempt["phase"]) == (1, "streaming")
    assert letter.delivery_mode == 2


async def test_the_letter_is_kept_before_the_subscriber_is_told(
    served: Bench, sandbox: Sandbox
) -> None:
    """Letter confirmed, then `failed`, then ack: one queue that hears both has them so."""
    both = Inbox()
    queue = await served.channel.declare_queue(exclusive=True)
    await queue.bind("aui.dead", f"{served.network}.#")
    await queue.bind("aui.replies", f"{served.network}.*.*.failed")
    await queue.consume(both.take)

    await served.say(sandbox.create_task("user").id, "!400")
    await both.until(lambda messages: len(messages) == 2)

    assert [m.exchange for m in both.messages] == ["aui.dead", "aui.replies"]


async def test_a_settled_job_leaves_its_queue(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """After the worker is gone, neither answered nor dead-lettered jobs come back."""
    async with running(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        for text in ("a microwave", "!400", "!1008"):
            await hub.ended(await at.say(sandbox.create_task("user").id, text))

    for partition in ("p00", "p01", "unslotted"):
        name = f"aui.jobs.{at.network}.{partition}"
        queue = await at.channel.declare_queue(name, passive=True)
        assert queue.declaration_result.message_count == 0


async def test_a_job_that_expires_in_its_queue_is_kept_and_told(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Nobody works while the job's expiration passes; afterwards it does not die in silence."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub, dead = await at.hub(), await at.dead()
    async with bench(amqp_url, at.network) as producer:
        job = await producer.say(task.id, "too late", expiration=0.2)
        async with working(settings(amqp_url, sandbox, f"{at.network}x")):
            failed = await hub.ended(job)
            (letter,) = await dead.until(lambda letters: len(letters) == 1)
        await producer.channel.get_exchange("aui.dead")

    assert failed.headers["aui-reason"] == "expired"
    assert letter.headers["aui-dead-reason"] == "expired"
    assert letter.routing_key == f"{at.network}.default.{task.id}.expired"
    assert not sandbox.store.user_messages(task.id)


async def test_a_job_handed_out_too_often_is_kept_and_told(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """A consumer that dies with the job again and again: the broker drops it, we keep it."""
    async with working(settings(amqp_url, sandbox, at.network)):
        hub, dead = await at.hub(), await at.dead()
    job = await at.say("task-1", "poison", key="00")
    await _hand_out_21_times(amqp_url, f"aui.jobs.{at.network}.p00")
    async with working(settings(amqp_url, sandbox, at.network)):
        failed = await hub.ended(job)
        (letter,) = await dead.until(lambda letters: len(letters) == 1)

    assert failed.headers["aui-reason"] == "delivery_limit"
    assert failed.headers["aui-attempt"] > 64 * 20
    assert letter.headers["aui-orig-x-death"]


async def _hand_out_21_times(amqp_url: str, queue: str) -> None:
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        for _ in range(21):
            channel = await connection.channel()
            got = await (await channel.get_queue(queue, ensure=False)).iterator().__anext__()
            assert got.message_id
            await channel.close()
