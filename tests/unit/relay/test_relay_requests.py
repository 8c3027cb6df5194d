"""Requests about tasks are answered to whoever asked, and to nobody else."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.conformance.script import failing
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import Flow, again, message
from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.core.slots import slot_of
from worker.core.verdict import Source, judge

pytestmark = pytest.mark.anyio

DOWN = judge(Source.STATUS, 503, detail="down")
REFUSED = judge(Source.STATUS, 403, detail="no")


def asking(kind: str, *, key: str | None = None, job_id: str = "ask_1", **body: Any) -> Envelope:
    """Return a request about tasks, published with its slot unless another key is given."""
    whose = body.get("task_id") or body.get("user_id")
    properties = Properties(type=kind, message_id=job_id, reply_to="sub.asker")
    slot = slot_of(str(whose)) if key is None else key
    return Envelope("default", json.dumps(body).encode(), slot, properties)


async def test_a_task_is_made_and_told_to_who_asked_alone() -> None:
    flow = Flow()
    delivery = await flow.handle(asking("task.create", user_id="user_1"))
    (task,) = flow.agent.tasks["user_1"]
    (created,) = flow.publisher.published
    assert flow.journal.entries == ["created", "ack"]
    assert (created.type, created.body, created.on_hub) == ("task.created", task.raw, False)
    assert (created.address.reply_to, created.headers[h.TASK_ID]) == ("sub.asker", task.id)
    assert created.headers[h.USER_ID] == "user_1"
    assert delivery.acked


async def test_the_next_message_of_the_user_goes_to_the_task_that_was_asked_for() -> None:
    flow = Flow()
    await flow.agent.create_task("user_1")
    flow.agent.newest_first = False
    await flow.handle(asking("task.create", user_id="user_1"))
    made = flow.agent.tasks["user_1"][-1]
    body = json.dumps({"user_id": "user_1", "text": "hi"}).encode()
    await flow.handle(Envelope("default", body, slot_of("user_1"), Properties(message_id="j")))
    assert json.loads(flow.copies.forwards[0].body)["task_id"] == made.id


async def test_a_repeated_request_makes_no_second_task() -> None:
    flow = Flow()
    first = asking("task.create", user_id="user_1")
    for envelope in (first, first, again(first)):
        await flow.handle(envelope)
    assert len(flow.agent.tasks["user_1"]) == 1
    assert len({reply.body for reply in flow.publisher.published}) == 1
    await flow.handle(asking("task.create", user_id="user_1", job_id="ask_2"))
    assert len(flow.agent.tasks["user_1"]) == 2


async def test_another_worker_adopts_the_task_made_before_the_ack_was_lost() -> None:
    flow = Flow()
    mine = await flow.agent.create_task("user_1")
    await flow.handle(again(asking("task.create", user_id="user_1")))
    assert flow.agent.tasks["user_1"] == [mine]
    flow.agent.say(mine.id, "something else", by_user=True)
    await flow.handle(again(asking("task.create", user_id="user_1", job_id="ask_2")))
    assert len(flow.agent.tasks["user_1"]) == 2


async def test_a_page_is_handed_on_as_it_is() -> None:
    flow = Flow()
    for _ in range(5):
        await flow.agent.create_task("user_1")
    await flow.handle(asking("task.list", user_id="user_1", page=2, size=2))
    (listed,) = flow.publisher.published
    assert listed.type == "task.listed"
    assert json.loads(listed.body)["page"] == 2
    assert len(json.loads(listed.body)["tasks"]) == 2
    assert h.TASK_ID not in listed.headers


async def test_what_was_said_is_handed_on_oldest_first() -> None:
    flow = Flow()
    task = await flow.agent.create_task("user_1")
    said = [flow.agent.say(task.id, text, by_user=True) for text in ("one", "two")]
    await flow.handle(asking("task.messages", task_id=task.id))
    (messages,) = flow.publisher.published
    assert messages.type == "task.messages"
    assert messages.body == b"[" + said[0].raw + b"," + said[1].raw + b"]"
    assert messages.headers[h.TASK_ID] == task.id


async def test_a_read_waits_for_no_turn_and_needs_no_slot() -> None:
    flow = Flow()
    task = await flow.agent.create_task("user_1")
    flow.exchanges.gate.shut()
    turn = flow.take(message(task.id))
    read = flow.take(asking("task.messages", task_id=task.id))
    stray = flow.take(asking("task.messages", key=task.id, job_id="ask_2", task_id=task.id))
    await flow.journal.until("ack", 2)
    assert (read.acked and stray.acked, turn.acked, flow.copies.forwards) == (True, False, [])
    flow.exchanges.gate.open()
    await flow.idle()
    assert turn.acked


async def test_a_new_task_is_made_where_the_user_s_jobs_are() -> None:
    flow = Flow()
    await flow.handle(asking("task.create", key="user_1", user_id="user_1"))
    assert (flow.copies.forwards[0].where, flow.agent.calls) == (
        ("default", slot_of("user_1")),
        [],
    )


async def test_an_interrupted_request_is_tried_again() -> None:
    flow = Flow()
    flow.agent.unavailable.append(DOWN)
    await flow.handle(asking("task.list", user_id="user_1"))
    assert flow.publisher.kinds == ["retrying", "listed"]
    assert not any(reply.on_hub for reply in flow.publisher.published)
    assert [reply.attempt for reply in flow.publisher.published] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "who", "letters"),
    [
        ("task.list", {"user_id": "user_1"}, 0),
        ("task.messages", {"task_id": "task_1"}, 0),
        ("task.create", {"user_id": "user_1"}, 1),
    ],
)
async def test_a_refused_request_is_told_and_kept_only_if_it_was_to_change_something(
    kind: str, who: dict[str, str], letters: int
) -> None:
    flow = Flow()
    flow.agent.unavailable.append(REFUSED)
    delivery = await flow.handle(asking(kind, **who))
    (failed,) = flow.publisher.published
    assert (failed.type, failed.on_hub) == ("message.failed", False)
    assert failed.headers[h.REASON] == "unauthorized"
    assert len(flow.copies.letters) == letters
    assert delivery.acked


async def test_nobody_there_to_take_what_was_read_is_no_matter() -> None:
    flow = Flow()
    flow.publisher.deaf = {"listed", "failed"}
    await flow.handle(asking("task.list", user_id="user_1"))
    flow.agent.unavailable.append(REFUSED)
    await flow.handle(asking("task.list", user_id="user_1"))
    assert flow.publisher.kinds == ["listed", "failed"]
    assert flow.publisher.unclaimed == []


async def test_a_request_that_is_none_is_kept_and_told() -> None:
    flow = Flow()
    await flow.handle(asking("task.list", user_id="user_1", page=0))
    (failed,) = flow.publisher.published
    assert "page" in failed.body.decode()
    assert (failed.on_hub, len(flow.copies.letters)) == (False, 1)


async def test_a_read_that_the_broker_gave_up_is_told_and_not_kept() -> None:
    flow = Flow()
    read = asking("task.list", user_id="user_1")
    deaths = {h.DEATHS: [{"queue": "aui.jobs.p00", "reason": "expired"}]}
    read = replace(read, properties=replace(read.properties, headers=deaths))
    delivery = FakeDelivery(read, flow.journal)
    flow.intake.receive_dropped(delivery)
    await flow.idle()
    (failed,) = flow.publisher.published
    assert (failed.headers[h.REASON], failed.on_hub) == ("expired", False)
    assert (flow.copies.letters, delivery.acked) == ([], True)


async def test_a_request_is_not_taken_for_the_job_of_the_same_id() -> None:
    flow = Flow()
    await flow.handle(message("task_1", job_id="same"))
    await flow.handle(asking("task.messages", task_id="task_1", job_id="same"))
    assert flow.publisher.kinds[-2:] == ["final", "messages"]


async def test_a_message_over_rest_is_a_turn_without_updates() -> None:
    flow = Flow()
    await flow.handle(posted())
    assert flow.publisher.kinds == ["final"]
    assert flow.publisher.published[0].on_hub
    await flow.handle(posted())
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds == ["final", "final"]


async def test_a_message_over_rest_that_was_interrupted_looks_before_it_asks_again() -> None:
    flow = Flow()
    flow.agent.play([failing(500)])
    flow.clock.gate.shut()
    delivery = flow.take(posted())
    await flow.clock.gate.reached()
    flow.agent.say("task_1", "the answer", by_user=False)
    flow.clock.gate.open()
    await flow.idle()
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds == ["retrying", "final"]
    assert flow.publisher.published[-1].headers[h.RECOVERED] is True
    assert delivery.acked


def posted() -> Envelope:
    """Return a job that goes over REST."""
    sent = message()
    return Envelope(
        "default",
        sent.body,
        sent.routing_key,
        Properties(type="message.post", message_id="job_1"),
    )
