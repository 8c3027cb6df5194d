"""Requests about tasks, and messages over REST, on a real RabbitMQ and the sandbox."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from harness import Bench, Inbox

from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio
DIRECT = "amq.rabbitmq.reply-to"


@asynccontextmanager
async def asker(served: Bench) -> AsyncIterator[tuple[str, Inbox]]:
    """Lend a queue to be answered on, and what comes to it."""
    inbox, name = Inbox(), f"sub.asker.{uuid.uuid4().hex}"
    queue = await served.channel.declare_queue(name, exclusive=True)
    await queue.consume(inbox.take)
    yield name, inbox


async def ask(served: Bench, kind: str, reply_to: str, **body: Any) -> str:
    """Publish a request; return its id."""
    return await served.publish(body, type=kind, reply_to=reply_to, correlation_id="c1")


async def test_a_conversation_is_begun_held_and_read_without_a_key(
    served: Bench, sandbox: Sandbox
) -> None:
    hub = await served.hub()
    async with asker(served) as (queue, answers):
        made = await ask(served, "task.create", queue, user_id="user_r1")
        (created,) = await answers.until(lambda got: len(got) == 1)
        task_id = json.loads(created.body)["id"]
        assert created.type == "task.created"
        assert created.headers["aui-job-id"] == made
        assert created.headers["aui-task-id"] == task_id
        assert created.correlation_id == "c1"
        assert [task.id for task in sandbox.store.tasks_of("user_r1")] == [task_id]

        posted = await ask(
            served, "message.post", queue, task_id=task_id, text="a built-in microwave"
        )
        final = await answers.ended(posted)
        assert final.type == "message.completed"
        assert final.headers["aui-seq"] == 1
        assert (await hub.ended(posted)).body == final.body

        await ask(served, "task.messages", queue, task_id=task_id)
        await ask(served, "task.list", queue, user_id="user_r1", size=5)
        await answers.until(lambda got: len(got) == 4)
        read = {got.type: json.loads(got.body) for got in answers.messages[2:]}
        said = [(one["sender"]["type"], one["text"]) for one in read["task.messages"]]
        assert said[0] == ("user", "a built-in microwave")
        assert said[1][1] == json.loads(final.body)["text"]
        assert [task["id"] for task in read["task.listed"]["tasks"]] == [task_id]
        assert (read["task.listed"]["total"], read["task.listed"]["size"]) == (1, 5)
    assert {got.type for got in hub.messages} == {"message.completed"}


async def test_direct_reply_to_is_answered(served: Bench, sandbox: Sandbox) -> None:
    """RabbitMQ's own answer queue, which needs no declaring; also one hop later."""
    task = sandbox.create_task("user_r2")
    answers: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    channel = await served.connection.channel(publisher_confirms=False)
    direct = await channel.get_queue(DIRECT, ensure=False)
    await direct.consume(answers.put, no_ack=True)
    exchange = await channel.get_exchange(jobs_exchange(served.network), ensure=False)
    asked: list[tuple[str, dict[str, str], str]] = [
        ("task.messages", {"task_id": task.id}, slot_of(task.id)),
        ("task.list", {"user_id": "user_r2"}, slot_of("user_r2")),
        ("task.create", {"user_id": "user_r2"}, "user_r2"),
    ]
    for kind, body, key in asked:
        message = aio_pika.Message(
            json.dumps(body).encode(), type=kind, reply_to=DIRECT, correlation_id=kind
        )
        await exchange.publish(message, key)
        async with asyncio.timeout(20):
            answer = await answers.get()
        assert answer.correlation_id == kind
        assert (answer.type or "").startswith("task.")
    assert len(sandbox.store.tasks_of("user_r2")) == 2
    await channel.close()


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("task.messages", {"task_id": "0123456789abcdef01234567"}, "not_found"),
        ("task.list", {"user_id": "u", "page": 0}, "invalid_job"),
        ("task.create", {"task_id": "t"}, "invalid_job"),
    ],
)
async def test_what_cannot_be_answered_is_told_in_aui_s_shape(
    served: Bench, kind: str, body: dict[str, Any], reason: str
) -> None:
    dead = await served.dead()
    async with asker(served) as (queue, answers):
        job = await ask(served, kind, queue, **body)
        failed = await answers.ended(job)
    assert failed.type == "message.failed"
    assert failed.headers["aui-reason"] == reason
    assert {"status_code", "description", "message"} <= set(json.loads(failed.body))
    kept = [got.message_id for got in dead.messages]
    assert kept == ([job] if reason == "invalid_job" else [])


async def test_a_message_over_rest_keeps_the_promises_of_a_turn(
    served: Bench, sandbox: Sandbox
) -> None:
    """Interrupted after AUI took it: looked for, not sent again. Refused: kept. In order."""
    hub, dead = await served.hub(), await served.dead()
    task = sandbox.create_task("user_r3")
    jobs = [
        await served.say(task.id, "!500 | one", type="message.post"),
        await served.say(task.id, "!400 | two", type="message.post"),
        await served.say(task.id, "three", type="message.post"),
    ]
    ends = [await hub.ended(job) for job in jobs]
    assert ends[1].headers["aui-reason"] == "bad_request"
    assert (ends[2].type, json.loads(ends[2].body)["text"][:1] != "") == ("message.completed", True)
    await dead.until(lambda got: jobs[1] in [one.message_id for one in got])
    order = [got.headers["aui-job-id"] for got in hub.messages if got in ends]
    assert order == jobs


async def test_a_redelivered_message_over_rest_is_answered_from_memory(
    served: Bench, sandbox: Sandbox
) -> None:
    hub = await served.hub()
    task = sandbox.create_task("user_r4")
    first = await served.say(task.id, "only once", type="message.post")
    final = await hub.ended(first)
    await served.say(task.id, "only once", type="message.post", message_id=first)
    again = (await hub.until(lambda _: len(hub.terminals(first)) == 2))[-1]
    assert again.body == final.body
    assert len(sandbox.store.user_messages(task.id)) == 1
