"""A turn outlives its delivery: the redelivery joins it, or somebody else has it after a while."""

from functools import partialmethod

import pytest

from tests.conformance.script import Gate, Lose, Step, answering, final, updating
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import Flow, again, let_run, message, no_task_left
from worker.core.envelope import Envelope
from worker.relay.received import Received

pytestmark = pytest.mark.anyio


class Held:
    """A flow in the middle of a turn, which goes on when the gate is opened."""

    def __init__(self, *after: Step) -> None:
        self.flow = Flow()
        self.gate = Gate().shut()
        self.flow.agent.play([updating("Well"), self.gate, *(after or [final("Hi")])])

    async def begin(self, envelope: Envelope) -> FakeDelivery:
        """Begin the turn of a job."""
        delivery = self.flow.take(envelope)
        await self.gate.reached()
        await let_run()
        return delivery

    async def finish(self) -> None:
        """Let the turn go on to its end."""
        self.gate.open()
        await self.flow.idle()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Abandon a turn as soon as its delivery is lost."""
    monkeypatch.setattr(Received, "worked_on", partialmethod(Received.worked_on, patience=0.0))


@pytest.mark.parametrize("job_id", ["job_1", None])
async def test_a_redelivery_joins_the_running_turn_and_is_acked_with_its_one_answer(
    job_id: str | None,
) -> None:
    held = Held()
    first = await held.begin(message(job_id=job_id))
    first.lost = True
    second = held.flow.take(again(message(job_id=job_id)))
    assert second.claimed
    await held.finish()
    assert held.flow.publisher.kinds == ["update", "final"]
    assert (first.settled, second.acked) == (False, True)
    assert len(held.flow.agent.asked) == 1
    assert held.flow.journal.entries.count("ack") == 1


async def test_it_may_be_lost_and_joined_more_than_once() -> None:
    held = Held()
    delivery = await held.begin(message())
    for count in range(1, 4):
        delivery.lost = True
        delivery = held.flow.take(again(message(), count))
        await let_run()
    await held.finish()
    assert held.flow.publisher.kinds == ["update", "final"]
    assert delivery.acked


async def test_a_redelivery_joins_while_the_turn_pauses_between_two_attempts() -> None:
    flow = Flow()
    flow.clock.gate.shut()
    flow.agent.play([Lose(), Lose()], answering("Hi"))
    first = flow.take(message())
    await flow.clock.gate.reached()
    first.lost = True
    second = flow.take(again(message()))
    flow.clock.gate.open()
    await flow.idle()
    assert flow.publisher.kinds == ["retrying", "update", "final"]
    assert second.acked


async def test_a_turn_whose_delivery_is_lost_makes_no_further_attempt() -> None:
    flow = Flow()
    flow.clock.gate.shut()
    flow.agent.play([Lose()], answering("Hi"))
    delivery = flow.take(message())
    await flow.clock.gate.reached()
    delivery.lost = True
    flow.clock.gate.open()
    await flow.idle()
    assert len(flow.agent.asked) == 1
    assert flow.publisher.kinds == ["retrying"]
    assert not delivery.settled


@pytest.mark.parametrize(
    "other",
    [
        message(job_id="job_2"),
        message(job_id="job_2", text="something else"),
        message(job_id=None),
    ],
)
async def test_another_job_does_not_join_but_waits_its_turn(other: Envelope) -> None:
    held = Held()
    first = await held.begin(message())
    first.lost = True
    second = held.flow.take(again(other))
    assert not second.claimed
    held.flow.agent.play(answering("Ho"))
    await held.finish()
    assert len(held.flow.agent.asked) == 2
    assert (first.acked, second.acked) == (False, True)


async def test_the_same_job_published_twice_joins_nothing_while_its_delivery_is_there() -> None:
    held = Held()
    first = await held.begin(message())
    second = held.flow.take(message())
    assert not second.claimed
    await held.finish()
    assert (first.acked, second.acked) == (True, True)


async def test_what_waits_behind_comes_again_and_keeps_its_order() -> None:
    held = Held()
    envelopes = [message(text=text, job_id=text) for text in ("one", "two", "three")]
    deliveries = [await held.begin(envelopes[0]), *map(held.flow.take, envelopes[1:])]
    for delivery in deliveries:
        delivery.lost = True
    seconds = [held.flow.take(again(envelope)) for envelope in envelopes]
    await held.finish()
    assert [asked.request for asked in held.flow.agent.asked] == [one.body for one in envelopes]
    finals = [one.address.job_id for one in held.flow.publisher.published if one.terminal]
    assert finals == ["one", "two", "three"]
    assert all(delivery.acked for delivery in seconds)
    assert not any(delivery.settled for delivery in deliveries)


async def test_a_turn_that_ends_before_the_redelivery_comes_is_told_once() -> None:
    held = Held()
    first = await held.begin(message())
    first.lost = True
    await held.finish()
    assert not first.acked
    second = await held.flow.handle(again(message()))
    assert held.flow.publisher.kinds == ["update", "final"]
    assert second.acked


@pytest.mark.usefixtures("impatient")
async def test_a_turn_that_nobody_joins_is_abandoned_and_says_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = Held()
    first = await held.begin(message())
    with no_task_left():
        held.flow.take(message("task_2"))
        first.lost = True
        await held.flow.idle()
    held.gate.open()
    await let_run()
    assert [one.address.task_id for one in held.flow.publisher.published if one.terminal] == [
        "task_2"
    ]
    assert not first.settled
    assert held.flow.agent.open == 0
    assert "a job is left to whoever has its redelivery" in [
        record.message for record in caplog.records
    ]


@pytest.mark.usefixtures("impatient")
async def test_an_abandoned_turn_leaves_its_lane_to_the_next_job() -> None:
    held = Held()
    first = await held.begin(message())
    second = held.flow.take(message(job_id="job_2"))
    first.lost = True
    await held.flow.idle()
    assert second.acked


@pytest.mark.usefixtures("impatient")
async def test_what_was_asked_in_an_abandoned_turn_is_found_by_its_redelivery() -> None:
    held = Held()
    first = await held.begin(message())
    first.lost = True
    await held.flow.idle()
    held.flow.agent.say("task_1", "Hi", by_user=False)
    second = await held.flow.handle(again(message(), 1))
    assert len(held.flow.agent.asked) == 1
    assert held.flow.publisher.kinds == ["update", "final"]
    assert held.flow.publisher.published[-1].headers["aui-recovered"] is True
    assert second.acked


@pytest.mark.usefixtures("impatient")
async def test_an_answer_whose_confirm_was_abandoned_is_known_to_its_redelivery() -> None:
    held = Held()
    first = await held.begin(message())
    held.flow.publisher.gate.shut()
    held.gate.open()
    await held.flow.journal.until("hung up")
    await let_run()
    first.lost = True
    await held.flow.idle()
    held.flow.publisher.gate.open()
    await held.flow.handle(again(message()))
    assert len(held.flow.agent.asked) == 1
    assert held.flow.publisher.kinds == ["update", "final"]
    assert held.flow.agent.calls == []


async def test_a_job_on_its_way_to_its_slot_is_forwarded_once_though_its_delivery_was_lost() -> (
    None
):
    flow = Flow()
    flow.copies.gate.shut()
    first = flow.take(message(key="task_1"))
    await flow.copies.gate.reached()
    first.lost = True
    second = flow.take(again(message(key="task_1")))
    flow.copies.gate.open()
    await flow.idle()
    assert len(flow.copies.forwards) == 1
    assert second.acked


async def test_two_workers_with_the_same_job_ask_once_and_tell_the_same() -> None:
    held = Held()
    first = await held.begin(message())
    first.lost = True
    other = Flow(world=held.flow.world)
    other.clock.gate.shut()
    second = other.take(again(message()))
    await other.clock.gate.reached()
    await held.finish()
    other.clock.gate.open()
    await other.idle()
    finals = [one for one in held.flow.publisher.published if one.terminal]
    assert len(held.flow.agent.asked) == 1
    assert [(one.attempt, "Hi" in one.body.decode()) for one in finals] == [(1, True), (65, True)]
    assert (first.acked, second.acked) == (False, True)
