"""What is not to be asked is not asked: poison, expired or lost, or while nothing can be told."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conformance.script import Gate, Lose, Refuse, Silence, answering, final, updating
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import PAUSE, Flow, again, from_user, let_run, message
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.relay.intake import POISON_COUNT

pytestmark = pytest.mark.anyio


def expiring(envelope: Envelope, seconds: float) -> Envelope:
    """Return a job that expires so long after its receipt."""
    properties = replace(envelope.properties, expiration=str(int(1000 * seconds)))
    return replace(envelope, properties=properties)


def reason_of(flow: Flow) -> Any:
    """Return why the only dead letter was written."""
    (letter,) = flow.copies.letters
    return letter.properties.headers[h.DEAD_REASON]


async def test_a_job_that_was_handed_out_ten_times_is_kept_as_poison_and_the_hub_is_told() -> None:
    flow = Flow()
    delivery = await flow.handle(again(message(), POISON_COUNT))
    assert flow.agent.asked == []
    assert reason_of(flow) == "poison_job"
    (failed,) = flow.publisher.published
    assert failed.routing_key == "default.default.task_1.failed"
    assert failed.on_hub
    assert failed.attempt > 64 * POISON_COUNT
    assert delivery.acked


async def test_up_to_then_it_is_tried() -> None:
    flow = Flow()
    flow.agent.histories["task_1"] = []
    await flow.handle(again(message(), POISON_COUNT - 1))
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds[-1] == "final"


async def test_an_answered_job_is_no_poison_however_often_it_comes() -> None:
    flow = Flow()
    await flow.handle(message())
    delivery = await flow.handle(again(message(), POISON_COUNT))
    assert flow.copies.letters == []
    assert delivery.acked


async def test_poison_joins_its_own_running_turn() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    first = flow.take(message())
    await gate.reached()
    first.lost = True
    second = flow.take(again(message(), POISON_COUNT))
    gate.open()
    await flow.idle()
    assert flow.publisher.kinds == ["final"]
    assert second.acked


async def test_a_copy_that_has_expired_is_kept_as_expired() -> None:
    flow = Flow()
    past = int(flow.clock.utc().timestamp()) - 1
    delivery = await flow.handle(message(headers={h.EXPIRES_AT: past}))
    assert flow.agent.asked == []
    assert reason_of(flow) == "expired"
    assert flow.publisher.kinds == ["failed"]
    assert flow.publisher.published[0].headers[h.REASON] == "expired"
    assert delivery.acked


@pytest.mark.parametrize(("seconds", "asked"), [(59.0, False), (61.0, True)])
async def test_a_job_may_expire_while_it_waits_in_its_lane(seconds: float, asked: bool) -> None:
    flow = Flow()
    flow.agent.play([Silence(60.0), final("Hi")])
    flow.take(message())
    flow.take(expiring(message(job_id="job_2"), seconds))
    await flow.idle()
    assert (len(flow.agent.asked) == 2) is asked
    assert flow.publisher.kinds[-1] == ("final" if asked else "failed")


async def test_a_job_may_expire_between_two_attempts() -> None:
    flow = Flow()
    flow.agent.play([Refuse(503)], answering("too late"))
    await flow.handle(expiring(message(), PAUSE))
    assert len(flow.agent.asked) == 1
    assert reason_of(flow) == "expired"
    assert flow.publisher.kinds == ["retrying", "failed"]


async def test_what_was_asked_in_time_gets_its_answer_though_it_has_expired_since() -> None:
    flow = Flow()
    flow.agent.play([Lose()])
    flow.clock.gate.shut()
    delivery = flow.take(expiring(message(), PAUSE))
    await flow.clock.gate.reached()
    flow.agent.say("task_1", "Hi", by_user=False)
    flow.clock.gate.open()
    await flow.idle()
    assert flow.publisher.kinds == ["retrying", "final"]
    assert delivery.acked


async def test_an_expired_job_by_user_makes_no_task() -> None:
    flow = Flow()
    flow.take(message())
    past = int(flow.clock.utc().timestamp()) - 1
    await flow.handle(from_user(headers={h.EXPIRES_AT: past}))
    assert flow.agent.calls == []
    assert reason_of(flow) == "expired"


async def test_a_forwarded_job_takes_its_expiry_with_it() -> None:
    flow = Flow()
    await flow.handle(expiring(message(key="stray"), 30.0))
    (copy,) = flow.copies.forwards
    assert copy.properties.headers[h.EXPIRES_AT] == flow.clock.utc().timestamp() + 30


async def waiting_for_a_place(flow: Flow, gate: Gate) -> FakeDelivery:
    """Return the delivery of a job that waits for the only place, which another one has."""
    flow.agent.play([gate, final("Hi")])
    flow.take(message())
    await gate.reached()
    delivery = flow.take(message("task_2"))
    await let_run()
    assert delivery.claimed
    return delivery


async def test_a_job_whose_delivery_is_lost_while_it_waits_for_a_place_is_not_asked() -> None:
    flow, gate = Flow(concurrency=1), Gate().shut()
    delivery = await waiting_for_a_place(flow, gate)
    delivery.lost = True
    gate.open()
    await flow.idle()
    assert len(flow.agent.asked) == 1
    assert not delivery.settled
    assert [reply.address.task_id for reply in flow.publisher.published] == ["task_1"]


async def test_one_that_comes_again_meanwhile_is_asked() -> None:
    flow, gate = Flow(concurrency=1), Gate().shut()
    delivery = await waiting_for_a_place(flow, gate)
    delivery.lost = True
    second = flow.take(again(message("task_2")))
    gate.open()
    await flow.idle()
    assert len(flow.agent.asked) == 2
    assert second.acked


async def test_nothing_is_asked_while_nothing_can_be_told() -> None:
    flow = Flow()
    flow.publisher.gate.shut()
    delivery = flow.take(message())
    await flow.publisher.gate.reached()
    await let_run()
    assert flow.agent.asked == []
    flow.publisher.gate.open()
    await flow.idle()
    assert len(flow.agent.asked) == 1
    assert delivery.acked


async def test_a_delivery_lost_while_nothing_could_be_told_is_not_asked() -> None:
    flow = Flow()
    flow.publisher.gate.shut()
    delivery = flow.take(message())
    await flow.publisher.gate.reached()
    delivery.lost = True
    flow.publisher.gate.open()
    await flow.idle()
    assert (flow.agent.asked, flow.publisher.published) == ([], [])


async def test_while_nothing_can_be_told_it_holds_no_place() -> None:
    flow, gate = Flow(concurrency=1), Gate().shut()
    flow.publisher.gate.shut()
    flow.take(message())
    await flow.publisher.gate.reached()
    await let_run()
    async with flow.gate.slot(flow.gate.visit("default")) as admitted:
        assert admitted
    flow.publisher.gate.open()
    gate.open()
    await flow.idle()


async def test_what_comes_while_nothing_can_be_told_is_told_by_the_newest_text() -> None:
    flow = Flow()
    gate, more = Gate().shut(), [updating(text) for text in ("Hel", "Hello", "Hello there")]
    flow.agent.play([updating("H"), gate, *more, final("Hello there!")])
    flow.take(message())
    await flow.journal.until("update")
    flow.publisher.gate.shut()
    gate.open()
    await flow.journal.until("hung up")
    await let_run()
    flow.publisher.gate.open()
    await flow.idle()
    assert flow.publisher.kinds == ["update", "update", "final"]
    assert b"Hello there" in flow.publisher.published[1].body
    assert [reply.seq for reply in flow.publisher.published] == [1, 2, 3]
