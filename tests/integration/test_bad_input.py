"""What is not a job: kept in aui.dead with the field named, while the others go on."""

import json
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import pytest
from harness import Bench

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Bad:
    """A message that breaks the contract, and the field at fault."""

    named: str
    body: Any = field(default_factory=lambda: {"task_id": "task-1", "text": "hi"})
    properties: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.named} {str(self.body)[:30]} {str(self.properties)[:40]}"


GOOD = {"task_id": "task-1", "text": "hi"}
BAD = [
    Bad("body", b"not json"),
    Bad("body", b"\xff\xfe{}"),
    Bad("body", b""),
    Bad("body", b"[1, 2]"),
    Bad("body", b'"text"'),
    Bad("body", b"null"),
    Bad("body", b'{"task_id": "t", "text": NaN}'),
    Bad("body", b'{"task_id": "a", "task_id": "b", "text": "hi"}'),
    Bad("body", b'{"a":' * 100_000),
    Bad("body", {"task_id": "t", "text": "x" * (256 * 1024)}),
    Bad("task_id", {"text": "hi"}),
    Bad("task_id", {"task_id": "", "text": "hi"}),
    Bad("task_id", {"task_id": None, "text": "hi"}),
    Bad("task_id", {"task_id": None, "user_id": "u", "text": "hi"}),
    Bad("task_id", {"task_id": 7, "text": "hi"}),
    Bad("task_id", {"task_id": "with.dot", "text": "hi"}),
    Bad("task_id", {"task_id": "x" * 300, "text": "hi"}),
    Bad("text", {"task_id": "t"}),
    Bad("text", {"task_id": "t", "text": ""}),
    Bad("text", {"task_id": "t", "text": ["hi"]}),
    Bad("user_id", {"user_id": "x" * 257, "text": "hi"}),
    Bad("user_id", {"user_id": {}, "text": "hi"}),
    Bad("context", {**GOOD, "context": "http://x"}),
    Bad("context.url", {**GOOD, "context": {"url": 1}}),
    Bad("type", properties={"type": "task.explode"}),
    Bad("message_id", properties={"message_id": "x" * 200}),
    Bad("reply_to", properties={"reply_to": "aui.jobs.p00"}),
    Bad("aui-channel", properties={"headers": {"aui-channel": 7}}),
    Bad("aui-channel", properties={"headers": {"aui-channel": "a.b"}}),
    Bad("aui-channel", properties={"headers": {"aui-channel": bytearray(b"\xff")}}),
    Bad("aui-updates", properties={"headers": {"aui-updates": "sometimes"}}),
    Bad("aui-updates", properties={"headers": {"aui-updates": {"a": [1]}}}),
    Bad("aui-conversation", properties={"headers": {"aui-conversation": 1.5}}),
    Bad("aui-attempt-base", properties={"headers": {"aui-attempt-base": -1}}),
    Bad("aui-maybe-sent", properties={"headers": {"aui-maybe-sent": "yes"}}),
    Bad("headers", properties={"headers": {f"h{n}": "x" * 4000 for n in range(25)}}),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
async def test_it_is_dead_lettered_and_the_field_is_named(
    served: Bench, sandbox: Sandbox, bad: Bad
) -> None:
    """The body is kept untouched, the hub hears nothing, and the next job is answered."""
    hub, dead = await served.hub(), await served.dead()

    await served.publish(bad.body, **bad.properties)
    (letter,) = await dead.until(lambda letters: len(letters) == 1)
    job = await served.say(sandbox.create_task("user").id, "a microwave")
    await hub.ended(job)

    error = json.loads(str(letter.headers["aui-dead-error"]))
    assert letter.headers["aui-dead-reason"] == "invalid_job"
    assert letter.routing_key.startswith(f"{served.network}.default.")
    assert letter.routing_key.endswith(".invalid_job")
    assert error["message"].startswith(f"{bad.named}: ")
    raw = bad.body if isinstance(bad.body, bytes) else json.dumps(bad.body).encode()
    assert letter.body == raw
    assert hub.messages == hub.of(job)


async def test_with_a_usable_reply_to_the_producer_is_told_there(served: Bench) -> None:
    """The reply names the field, and carries the producer's correlation id."""
    queue = f"sub.{served.network}"
    own = await served.listen("amq.direct", queue, name=queue)

    job = await served.publish(b"nonsense", reply_to=queue, correlation_id="mine")
    failed = await own.ended(job)

    assert failed.headers["aui-reason"] == "invalid_job"
    assert failed.correlation_id == "mine"
    assert "body: " in json.loads(failed.body)["message"]


async def test_properties_that_would_poison_a_copy_are_moved_aside(
    served: Bench, amqp_url: str
) -> None:
    """A dead letter keeps user_id, expiration, CC and x- headers under aui-orig-."""
    dead = await served.dead()
    other = await served.listen("amq.direct", "cc-target")

    await served.publish(
        {"task_id": "task-1"},
        headers={"CC": ["cc-target"], "x-odd": 1, "x-death": [{"count": 3}], "kept": "yes"},
        user_id="guest",
        expiration=60,
        priority=3,
        timestamp=1_700_000_000,
        app_id="shop",
    )
    (letter,) = await dead.until(lambda letters: len(letters) == 1)

    assert letter.headers["aui-orig-user_id"] == "guest"
    assert letter.headers["aui-orig-expiration"] == "60000"
    assert letter.headers["aui-orig-CC"] == ["cc-target"]
    assert letter.headers["aui-orig-x-odd"] == 1
    assert letter.headers["kept"] == "yes"
    assert not {"CC", "x-odd", "x-death"} & set(letter.headers)
    assert (letter.user_id, letter.expiration) == (None, None)
    assert (letter.priority, letter.app_id) == (3, "shop")
    assert other.messages == []


async def test_a_message_put_straight_into_a_partition_is_handled_too(
    served: Bench, sandbox: Sandbox
) -> None:
    """Published to the queue by name, its key is no slot: it is forwarded and answered."""
    hub = await served.hub()
    body = json.dumps({"task_id": sandbox.create_task("user").id, "text": "a microwave"})

    await served.channel.default_exchange.publish(
        aio_pika.Message(body.encode(), message_id="straight"),
        f"aui.jobs.{served.network}.p00",
    )
    final = await hub.ended("straight")

    assert final.type == "message.completed"
