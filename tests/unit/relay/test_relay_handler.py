"""Every job is brought to its end, and its delivery settled after everything else."""

import logging

import pytest

from tests.conformance.script import Bug, Close, Gate, Lose, answering, failing, final, updating
from tests.fakes import FakeCopies, FakeDelivery
from tests.unit.relay.flow import Flow, World, let_run, message, no_task_left
from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.slots import slot_of

pytestmark = pytest.mark.anyio


async def test_an_answer_is_published_byte_for_byte_and_then_the_job_is_acked() -> None:
    flow = Flow()
    raw = final("I found it", options=[{"é": 1.50}])
    flow.agent.play([updating("I"), raw])
    delivery = await flow.handle(message())
    assert flow.journal.entries == ["exchange", "converse", "update", "hung up", "final", "ack"]
    assert flow.publisher.published[-1].body == raw
    assert flow.copies.letters == []
    assert delivery.acked


async def test_the_final_is_confirmed_before_the_ack() -> None:
    flow = Flow()
    flow.agent.play([final("Hi")])
    flow.publisher.gate.shut()
    delivery = flow.take(message())
    await flow.publisher.gate.reached()
    await let_run()
    assert not delivery.settled
    flow.publisher.gate.open()
    await flow.idle()
    assert flow.journal.entries[-2:] == ["final", "ack"]


async def test_a_rejected_job_is_kept_then_told_then_acked() -> None:
    flow = Flow()
    flow.agent.play([updating("Hel"), failing(400), Close(1008)])
    delivery = await flow.handle(message())
    assert flow.journal.entries[-3:] == ["letter", "failed", "ack"]
    assert flow.copies.letters[0].where == ("default.default.task_1.bad_request",)
    assert flow.copies.letters[0].properties.headers[h.DEAD_TEXT] == "Hel"
    assert delivery.acked


@pytest.mark.parametrize("held_up", ["letter", "failed"])
async def test_a_rejected_job_is_not_acked_before_both_are_confirmed(held_up: str) -> None:
    flow = Flow()
    flow.agent.play([Close(1008)])
    gate = flow.copies.gate if held_up == "letter" else flow.publisher.gate
    gate.shut()
    delivery = flow.take(message())
    await gate.reached()
    await let_run()
    assert not delivery.settled
    assert held_up not in flow.journal.entries
    gate.open()
    await flow.idle()
    assert delivery.acked


async def test_a_job_that_stays_interrupted_is_kept_with_every_attempt() -> None:
    flow = Flow(attempts=2)
    flow.agent.play([Close(1011)], [updating("Hel"), Lose()])
    delivery = await flow.handle(message())
    assert flow.publisher.kinds == ["retrying", "update", "failed"]
    headers = flow.copies.letters[0].properties.headers
    assert headers[h.DEAD_REASON] == "connection_lost"
    assert headers[h.DEAD_ATTEMPTS].count('"attempt"') == 2
    failed = flow.publisher.published[-1]
    assert (failed.attempt, failed.seq) == (2, 2)
    assert delivery.acked


@pytest.mark.parametrize("reply_to", [None, "sub.me"])
async def test_what_is_no_job_is_kept_and_told_to_its_reply_to_alone(reply_to: str | None) -> None:
    flow = Flow()
    properties = Properties(message_id="job_1", reply_to=reply_to)
    delivery = await flow.handle(Envelope("default", b'{"task_id":"a.b"}', "00", properties))
    assert flow.journal.entries == ["letter", "failed", "ack"]
    (letter,) = flow.copies.letters
    assert letter.where == ("default.default._.invalid_job",)
    assert "task_id" in letter.properties.headers[h.DEAD_ERROR]
    (failed,) = flow.publisher.published
    assert (failed.on_hub, failed.address.reply_to) == (False, reply_to)
    assert (failed.attempt, failed.seq) == (1, 1)
    assert flow.agent.asked == []
    assert delivery.acked


@pytest.mark.parametrize("key", ["task_1", "", "GG"])
async def test_a_misplaced_job_is_forwarded_to_its_slot_and_nobody_is_asked_or_told(
    key: str,
) -> None:
    flow = Flow()
    delivery = await flow.handle(message(key=key, headers={h.ATTEMPT_BASE: 5}))
    assert flow.journal.entries == ["forward", "ack"]
    (copy,) = flow.copies.forwards
    assert copy.where == ("default", slot_of("task_1"))
    assert copy.body == message().body
    assert copy.properties.message_id == "job_1"
    assert copy.properties.headers[h.ATTEMPT_BASE] == 5
    assert h.MAYBE_SENT not in copy.properties.headers
    assert (flow.agent.asked, flow.publisher.published) == ([], [])
    assert delivery.acked


async def test_a_misplaced_job_without_an_id_is_forwarded_with_the_one_it_was_given() -> None:
    flow = Flow()
    await flow.handle(message(key="task_1", job_id=None))
    assert flow.copies.forwards[0].properties.message_id


async def test_a_forward_is_confirmed_before_the_ack() -> None:
    flow = Flow()
    flow.copies.gate.shut()
    delivery = flow.take(message(key="task_1"))
    await flow.copies.gate.reached()
    await let_run()
    assert not delivery.settled
    flow.copies.gate.open()
    await flow.idle()
    assert delivery.acked


async def test_a_redelivered_job_that_is_forwarded_says_that_it_may_have_been_sent() -> None:
    flow = Flow()
    await flow.handle(message(key="task_1", redelivered=True))
    headers = flow.copies.forwards[0].properties.headers
    assert headers[h.MAYBE_SENT] is True
    assert headers[h.ATTEMPT_BASE] == ATTEMPTS_PER_DELIVERY


async def test_a_job_that_the_broker_gave_up_is_kept_and_told_without_asking_anybody() -> None:
    flow = Flow()
    death = {"queue": "aui.jobs.p03", "reason": "expired", "count": 1}
    delivery = FakeDelivery(message(headers={h.DEATHS: [death]}), flow.journal)
    flow.intake.receive_dropped(delivery)
    await flow.idle()
    assert flow.journal.entries == ["letter", "failed", "ack"]
    assert flow.publisher.published[0].routing_key == "default.default.task_1.failed"
    assert flow.publisher.published[0].on_hub
    assert delivery.acked


async def test_a_bug_costs_the_job_alone_and_is_logged_once_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow = Flow()
    flow.agent.play([updating("Hel"), Bug(ZeroDivisionError("oops"))], answering("Hi"))
    with caplog.at_level(logging.ERROR):
        broken, next_one = flow.take(message()), flow.take(message(job_id="job_2"))
        await flow.idle()
    assert flow.copies.letters[0].properties.headers[h.DEAD_REASON] == "internal_worker_error"
    assert flow.publisher.kinds[-2:] == ["update", "final"]
    assert broken.acked
    assert next_one.acked
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_bug_before_the_first_attempt_is_told_under_the_first_attempt() -> None:
    class Broken(FakeCopies):
        async def to_slot(self, *_: object) -> None:
            raise ZeroDivisionError

    flow = Flow(world=World(copies=Broken))
    delivery = await flow.handle(message(key="task_1", redelivered=True))
    (failed,) = flow.publisher.published
    assert (failed.attempt, failed.seq) == (ATTEMPTS_PER_DELIVERY + 1, 1)
    assert delivery.acked


async def test_a_job_that_cannot_be_settled_is_given_back_and_its_lane_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeDelivery):
        async def ack(self) -> None:
            raise ZeroDivisionError

    flow = Flow()
    broken = Broken(message(), flow.journal)
    flow.intake.receive(broken)
    next_one = flow.take(message(job_id="job_2", text="and a fridge"))
    await flow.idle()
    assert not broken.settled
    assert next_one.acked
    assert broken.lost
    told = [record.message for record in caplog.records]
    assert told == ["a job could not be settled: given back"]


async def test_being_cut_off_leaves_the_delivery_unacked_and_nobody_told() -> None:
    flow = Flow()
    flow.agent.play([updating("Hel"), Gate().shut()])
    with no_task_left():
        delivery = flow.take(message())
        await flow.journal.until("update")
        assert not await flow.lanes.drain(0)
    assert not delivery.settled
    assert flow.publisher.kinds == ["update"]
    assert flow.copies.letters == []
    assert flow.agent.open == 0


async def test_a_delivery_lost_in_mid_turn_is_answered_but_never_acked() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    delivery = flow.take(message())
    await gate.reached()
    delivery.lost = True
    gate.open()
    await flow.idle()
    assert flow.publisher.kinds == ["final"]
    assert (delivery.settled, delivery.acked) == (True, False)


async def test_a_delivery_lost_while_it_waited_is_neither_asked_nor_settled() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    first, second = flow.take(message()), flow.take(message(job_id="job_2"))
    await gate.reached()
    second.lost = True
    gate.open()
    await flow.idle()
    assert first.acked
    assert not second.settled
    assert len(flow.agent.asked) == 1


async def test_jobs_of_a_task_are_asked_one_after_another_and_in_order() -> None:
    flow = Flow()
    flow.agent.play([Close(1011)], answering("One"), answering("Two"))
    deliveries = [flow.take(message(text=text, job_id=text)) for text in ("one", "two")]
    await flow.idle()
    assert [asked.request for asked in flow.agent.asked] == [
        deliveries[number].envelope.body for number in (0, 0, 1)
    ]
    assert flow.agent.most_open == 1
    jobs = [reply.address.job_id for reply in flow.publisher.published]
    assert jobs == sorted(jobs, key=["one", "two"].index)


async def test_the_end_of_a_job_is_one_log_line_without_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow = Flow()
    flow.agent.play(answering("the answer"))
    with caplog.at_level(logging.INFO, "worker"):
        await flow.handle(message(text="a secret wish"))
    (record,) = caplog.records
    fields = record.__dict__["fields"]
    assert (record.message, fields["job"], fields["task"]) == ("job ended", "job_1", "task_1")
    assert (fields["verdict"], fields["reason"], fields["attempts"]) == (
        "completed",
        "completed",
        1,
    )
    assert "secret wish" not in str(record.__dict__)
    assert "the answer" not in str(record.__dict__)
