"""A job by user finds its task, announces a new one, and queues up behind the task's others."""

import json

import pytest

from tests.conformance.script import Close, answering, failing
from tests.fakes import Copied, FakeAgent
from tests.unit.relay.flow import PAUSE, Flow, World, from_user, let_run
from worker.core import headers as h
from worker.core.conversation import Task
from worker.core.envelope import Envelope
from worker.core.errors import AgentUnavailable
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.said import Said
from worker.core.slots import slot_of
from worker.core.verdict import Source, judge

pytestmark = pytest.mark.anyio

NEW = {h.CONVERSATION: "new"}
DOWN = judge(Source.STATUS, 503, detail="down")


def arrived(copy: Copied) -> Envelope:
    """Return a forwarded job as it comes out of the queue of its slot."""
    network, slot = copy.where
    return Envelope(network, copy.body, slot, copy.properties)


async def test_the_latest_task_is_continued_by_a_copy_in_its_slot() -> None:
    flow = Flow()
    task = await flow.agent.create_task("user_1")
    delivery = await flow.handle(from_user())
    assert flow.journal.entries == ["forward", "ack"]
    (copy,) = flow.copies.forwards
    assert copy.where == ("default", slot_of(task.id))
    assert list(json.loads(copy.body)) == ["task_id", "user_id", "text", "extra"]
    assert json.loads(copy.body)["task_id"] == task.id
    assert copy.body.endswith(from_user().body[1:])
    assert copy.properties.headers[h.ATTEMPT_BASE] == 1
    assert delivery.acked


@pytest.mark.parametrize("headers", [{}, NEW], ids=["none yet", "new"])
async def test_a_new_task_is_announced_then_the_job_is_forwarded_then_acked(
    headers: dict[str, str],
) -> None:
    flow = Flow()
    if headers:
        await flow.agent.create_task("user_1")
    await flow.handle(from_user(headers=headers))
    assert flow.journal.entries == ["created", "forward", "ack"]
    task = flow.agent.tasks["user_1"][-1]
    (created,) = flow.publisher.published
    assert created.routing_key == f"default.default.{task.id}.created"
    assert created.body == task.raw
    assert created.headers[h.USER_ID] == "user_1"
    assert created.headers[h.TASK_ID] == task.id
    assert flow.copies.forwards[0].where == ("default", slot_of(task.id))


async def test_the_announcement_is_confirmed_before_the_job_is_forwarded() -> None:
    flow = Flow()
    flow.publisher.gate.shut()
    delivery = flow.take(from_user())
    await flow.publisher.gate.reached()
    await let_run()
    assert (flow.copies.forwards, delivery.settled) == ([], False)
    flow.publisher.gate.open()
    await flow.idle()
    assert delivery.acked


async def test_two_quick_messages_of_a_new_user_go_to_one_task_in_order() -> None:
    flow = Flow()
    for text in ("one", "two"):
        flow.take(from_user(text=text, job_id=text))
    await flow.idle()
    assert len(flow.agent.tasks["user_1"]) == 1
    assert flow.publisher.kinds == ["created"]
    assert [copy.properties.message_id for copy in flow.copies.forwards] == ["one", "two"]
    assert len({copy.where for copy in flow.copies.forwards}) == 1


@pytest.mark.parametrize("spoken", [[], [Said("hello", by_user=True)]], ids=["silent", "ours"])
async def test_a_redelivered_job_adopts_the_task_it_made_and_announces_it_again(
    spoken: list[Said],
) -> None:
    flow = Flow()
    mine = await flow.agent.create_task("user_1")
    flow.agent.histories[mine.id] = spoken
    await flow.handle(from_user(headers=NEW, redelivered=True, timestamp=flow.clock.utc()))
    assert flow.agent.tasks["user_1"] == [mine]
    assert flow.publisher.published[0].body == mine.raw
    headers = flow.copies.forwards[0].properties.headers
    assert headers[h.MAYBE_SENT] is True
    assert headers[h.ATTEMPT_BASE] == ATTEMPTS_PER_DELIVERY + 1


async def test_a_redelivered_job_does_not_adopt_the_task_of_an_earlier_one() -> None:
    flow = Flow()
    other = await flow.agent.create_task("user_1")
    flow.agent.histories[other.id] = [Said("another matter", by_user=True)]
    await flow.handle(from_user(headers=NEW, redelivered=True))
    assert len(flow.agent.tasks["user_1"]) == 2


async def test_the_forwarded_job_is_answered_and_the_reply_names_the_user() -> None:
    flow = Flow()
    flow.agent.play(answering("Hi"))
    await flow.handle(from_user())
    await flow.handle(arrived(flow.copies.forwards[0]))
    assert flow.publisher.kinds == ["created", "update", "final"]
    assert {reply.headers[h.USER_ID] for reply in flow.publisher.published} == {"user_1"}
    numbers = [(reply.attempt, reply.seq) for reply in flow.publisher.published]
    assert numbers == [(1, 1), (2, 1), (2, 2)]
    asked = json.loads(flow.agent.asked[0].request)
    assert (asked["text"], asked["extra"]) == ("hello", [1])


async def test_a_job_without_an_id_has_the_same_one_from_its_announcement_to_its_answer() -> None:
    flow = Flow()
    await flow.handle(from_user(job_id=None))
    await flow.handle(arrived(flow.copies.forwards[0]))
    assert flow.publisher.kinds[0] == "created"
    assert flow.publisher.kinds[-1] == "final"
    for name in ("job_id", "correlation_id"):
        assert len({getattr(reply.address, name) for reply in flow.publisher.published}) == 1


async def test_while_aui_does_not_say_it_is_asked_again() -> None:
    flow = Flow()
    flow.agent.unavailable.extend([DOWN, DOWN])
    delivery = await flow.handle(from_user())
    assert flow.publisher.kinds == ["retrying", "retrying", "created"]
    assert flow.publisher.published[0].routing_key == "default.default._.retrying"
    assert flow.clock.slept == [PAUSE, PAUSE]
    assert flow.copies.forwards[0].properties.headers[h.ATTEMPT_BASE] == 3
    assert delivery.acked


async def test_a_job_whose_task_cannot_be_found_is_kept_and_told() -> None:
    flow = Flow(attempts=2)
    flow.agent.unavailable.extend([DOWN, DOWN])
    delivery = await flow.handle(from_user())
    assert flow.journal.entries == ["retrying", "letter", "failed", "ack"]
    assert flow.copies.letters[0].where == ("default.default._.upstream_error",)
    assert "finding the task" in flow.copies.letters[0].properties.headers[h.DEAD_ATTEMPTS]
    assert flow.publisher.published[-1].routing_key == "default.default._.failed"
    assert flow.publisher.published[-1].headers[h.USER_ID] == "user_1"
    assert delivery.acked


async def test_a_refused_key_is_not_tried_again() -> None:
    flow = Flow()
    flow.agent.unavailable.append(judge(Source.STATUS, 401))
    delivery = await flow.handle(from_user())
    assert flow.journal.entries == ["letter", "failed", "ack"]
    assert flow.copies.letters[0].properties.headers[h.DEAD_REASON] == "unauthorized"
    assert delivery.acked


@pytest.mark.parametrize("headers", [{}, NEW], ids=["latest", "new"])
async def test_a_task_that_was_made_though_aui_never_said_so_is_not_made_twice(
    headers: dict[str, str],
) -> None:
    class Deaf(FakeAgent):
        async def create_task(self, user_id: str) -> Task:
            task = await super().create_task(user_id)
            if len(self.tasks[user_id]) == 1:
                raise AgentUnavailable(judge(Source.IDLE_TIMEOUT))
            return task

    flow = Flow(world=World(agent=Deaf))
    await flow.handle(from_user(headers=headers))
    assert len(flow.agent.tasks["user_1"]) == 1
    assert flow.copies.forwards[0].where == ("default", slot_of(flow.agent.tasks["user_1"][0].id))


async def test_a_user_whose_task_is_gone_is_looked_up_again() -> None:
    flow = Flow()
    await flow.handle(from_user())
    flow.agent.tasks.clear()
    flow.agent.play([failing(404), Close(1008)])
    await flow.handle(arrived(flow.copies.forwards[0]))
    flow.agent.calls.clear()
    flow.clock.seconds += 1
    await flow.handle(from_user(job_id="job_2"))
    assert flow.agent.calls == ["list_tasks", "create_task"]
    assert flow.copies.forwards[1].where != flow.copies.forwards[0].where
