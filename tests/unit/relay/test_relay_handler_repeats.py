"""The same job twice is told twice and asked once; what failed is tried again if it comes anew."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.conformance.script import Close, Gate, answering, final
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import Flow, again, from_user, let_run, message
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.slots import slot_of
from worker.core.verdict import Source, judge

pytestmark = pytest.mark.anyio


def on_other_terms(envelope: Envelope) -> Envelope:
    """Return the job as somebody else would publish it."""
    properties = replace(envelope.properties, correlation_id="again", reply_to="sub.me")
    return replace(envelope, properties=properties)


async def test_the_second_job_gets_the_first_ones_answer_on_its_own_terms() -> None:
    flow = Flow()
    flow.agent.play(answering("Hi there"))
    await flow.handle(message())
    delivery = await flow.handle(on_other_terms(message()))
    first, second = flow.publisher.published[-2:]
    assert (second.kind, second.body, second.message_id) == ("final", first.body, first.message_id)
    assert (second.address.correlation_id, second.address.reply_to) == ("again", "sub.me")
    assert len(flow.agent.asked) == 1
    assert flow.agent.calls == []
    assert flow.journal.entries[-2:] == ["final", "ack"]
    assert delivery.acked


async def test_a_second_job_that_comes_while_the_first_is_asked_waits_for_its_answer() -> None:
    flow = Flow()
    deliveries = [flow.take(message()) for _ in range(3)]
    await flow.idle()
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds.count("final") == 3
    assert all(delivery.acked for delivery in deliveries)


async def test_the_repeat_is_confirmed_before_the_ack() -> None:
    flow = Flow()
    await flow.handle(message())
    flow.publisher.gate.shut()
    delivery = flow.take(message())
    await flow.publisher.gate.reached()
    assert not delivery.settled
    flow.publisher.gate.open()
    await flow.idle()
    assert flow.journal.entries[-2:] == ["final", "ack"]


async def test_a_failed_job_sent_again_from_the_dead_letters_is_tried_however_it_comes() -> None:
    """Its ack is not what got lost when the link did before it was begun."""
    flow = Flow(attempts=1)
    flow.agent.play([Close(1008)])
    await flow.handle(message())
    failed = flow.publisher.published[-1]
    replay = message(headers={h.ATTEMPT_BASE: failed.attempt, h.REPLAYS: 1})
    await flow.handle(again(replay))
    assert [str(reply.kind) for reply in flow.publisher.published if reply.terminal] == [
        "failed",
        "final",
    ]
    assert flow.publisher.published[-1].attempt > failed.attempt


async def test_a_redelivery_after_a_lost_ack_is_acked_and_nobody_is_told_again() -> None:
    flow = Flow()
    await flow.handle(message())
    before = list(flow.journal.entries)
    delivery = await flow.handle(again(message()))
    assert flow.journal.entries == [*before, "ack"]
    assert delivery.acked


async def test_a_failed_job_that_is_redelivered_is_acked_and_that_is_all() -> None:
    flow = Flow()
    flow.agent.play([Close(1008)])
    await flow.handle(message())
    before = list(flow.journal.entries)
    delivery = await flow.handle(again(message()))
    assert flow.journal.entries == [*before, "ack"]
    assert delivery.acked


async def test_a_failed_job_that_is_published_anew_is_asked_again() -> None:
    flow = Flow()
    flow.agent.play([Close(1008)], answering("Hi"))
    for _ in range(2):
        await flow.handle(message())
    assert flow.publisher.kinds == ["failed", "update", "final"]
    assert len(flow.agent.asked) == 2


async def test_and_once_it_is_answered_that_is_its_answer() -> None:
    flow = Flow()
    flow.agent.play([Close(1008)], answering("Hi"))
    for envelope in (message(), message(), again(message())):
        await flow.handle(envelope)
    await flow.handle(message())
    assert flow.publisher.kinds == ["failed", "update", "final", "final"]


async def test_jobs_without_an_id_are_never_the_same() -> None:
    flow = Flow()
    for _ in range(2):
        await flow.handle(message(job_id=None))
    assert len(flow.agent.asked) == 2


@pytest.mark.parametrize("other", [message("task_2"), message(job_id="job_2")])
async def test_another_job_is_asked(other: Envelope) -> None:
    flow = Flow()
    for envelope in (message(), other):
        await flow.handle(envelope)
    assert len(flow.agent.asked) == 2


async def test_a_job_that_came_by_user_is_the_same_in_its_task() -> None:
    flow = Flow()
    await flow.handle(from_user())
    (copy,) = flow.copies.forwards
    forwarded = Envelope("default", copy.body, copy.where[1], copy.properties)
    for _ in range(2):
        await flow.handle(forwarded)
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds.count("final") == 2


async def test_a_job_by_user_whose_task_was_not_found_is_only_tried_again_when_it_comes_anew() -> (
    None
):
    flow = Flow()
    flow.agent.unavailable.append(judge(Source.STATUS, 401))
    await flow.handle(from_user())
    assert flow.publisher.kinds == ["failed"]
    await flow.handle(again(from_user()))
    assert flow.publisher.kinds == ["failed"]
    await flow.handle(from_user())
    assert flow.publisher.kinds == ["failed", "created"]


async def test_an_answered_job_that_is_dropped_by_the_broker_is_neither_kept_nor_told() -> None:
    flow = Flow()
    await flow.handle(message())
    before = list(flow.journal.entries)
    death = {"queue": "aui.jobs.p03", "reason": "delivery_limit", "count": 1}
    dropped = FakeDelivery(message(headers={h.DEATHS: [death]}), flow.journal)
    flow.intake.receive_dropped(dropped)
    await flow.idle()
    assert flow.journal.entries == [*before, "ack"]


async def test_what_is_no_job_is_kept_though_a_job_with_its_id_was_answered() -> None:
    flow = Flow()
    await flow.handle(message())
    broken = Envelope("default", b'{"task_id":"task_1"}', slot_of("task_1"), message().properties)
    await flow.handle(broken)
    assert flow.publisher.kinds[-1] == "failed"
    assert len(flow.copies.letters) == 1


async def test_an_answer_cut_off_before_its_confirm_is_told_again_and_then_no_more() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    flow.take(message())
    await gate.reached()
    flow.publisher.gate.shut()
    gate.open()
    await flow.journal.until("hung up")
    await let_run()
    await flow.die()
    flow.publisher.gate.open()
    for count in (1, 2):
        delivery = await flow.handle(again(message(), count))
        assert delivery.acked
        assert flow.publisher.kinds == ["final"]
    assert len(flow.agent.asked) == 1


async def test_a_job_without_an_id_whose_ack_was_lost_is_known_again_by_all_it_says() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, *answering("Hi")])
    first = flow.take(message(job_id=None))
    await gate.reached()
    first.lost = True
    gate.open()
    await flow.idle()
    second = await flow.handle(message(job_id=None, redelivered=True))
    assert second.acked
    assert (len(flow.agent.asked), flow.publisher.kinds.count("final")) == (1, 1)


async def test_another_job_that_says_the_same_is_asked_all_the_same() -> None:
    flow = Flow()
    assert (await flow.handle(message(job_id=None))).acked
    second = await flow.handle(
        message(job_id=None, redelivered=True, headers={"x-delivery-count": 1})
    )
    assert second.acked
    assert flow.publisher.kinds.count("final") == 2


@pytest.mark.parametrize(
    "other",
    [
        again(message(job_id="job_2")),
        message(job_id=None),
        again(message(job_id=None, text="and a fridge")),
        again(message(job_id=None, timestamp=datetime(2026, 3, 9, tzinfo=UTC))),
    ],
    ids=["has an id", "is new", "says something else", "was published at another time"],
)
async def test_what_is_not_that_job_is_asked(other: Envelope) -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, *answering("Hi")])
    first = flow.take(message(job_id=None))
    await gate.reached()
    first.lost = True
    gate.open()
    await flow.idle()
    await flow.handle(other)
    assert len(flow.agent.asked) == 2
    assert flow.publisher.kinds.count("final") == 2
