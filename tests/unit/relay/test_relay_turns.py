"""A turn is tried again while it is interrupted, and tells its subscribers every time."""

import asyncio

import pytest

from tests.conformance.script import (
    Bug,
    Close,
    Gate,
    Lose,
    Refuse,
    Silence,
    Stale,
    Step,
    answering,
    failing,
    final,
    updating,
)
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import PAUSE, Flow, let_run, message, no_task_left, received_of
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.reply import Replies
from worker.core.verdict import Kind, Verdict
from worker.relay.progress import Progress

pytestmark = pytest.mark.anyio

BROKEN: list[Step] = [updating("Hel"), updating("Hello"), failing(500), Close(1011)]


async def run(
    flow: Flow, envelope: Envelope | None = None, base: int = 0
) -> tuple[Verdict, Progress]:
    """Run one turn."""
    received = received_of(envelope or message(), at=flow.clock.now())
    job, task_id = received.job, received.address.task_id
    assert job is not None
    assert task_id is not None
    progress = Progress(flow.clock.port)
    replies = Replies(job.address, base)
    return await flow.turns.run(received, job, task_id, replies, progress), progress


async def test_a_good_answer_is_relayed_text_by_text_and_kept_for_the_end() -> None:
    flow = Flow()
    flow.agent.play(answering("I found it"))
    verdict, progress = await run(flow)
    assert verdict.kind is Kind.COMPLETED
    assert flow.publisher.kinds == ["update"] * 3
    assert [reply.seq for reply in flow.publisher.published] == [1, 2, 3]
    assert progress.final is not None
    assert progress.final.raw == final("I found it")
    assert (progress.text, len(progress.attempts)) == ("I found it", 1)


async def test_1011_twice_then_a_final_makes_three_attempts_and_two_notices() -> None:
    flow = Flow()
    flow.agent.play(BROKEN, BROKEN, answering("Hi"))
    verdict, progress = await run(flow)
    assert verdict.kind is Kind.COMPLETED
    assert flow.publisher.kinds == ["update", "update", "retrying"] * 2 + ["update"]
    assert [(reply.attempt, reply.seq) for reply in flow.publisher.published] == [
        (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1),
    ]  # fmt: skip
    notices = [reply for reply in flow.publisher.published if reply.kind == "retrying"]
    assert [notice.headers[h.RETRY_IN] for notice in notices] == [PAUSE, PAUSE]
    assert [notice.headers[h.REASON] for notice in notices] == ["upstream_error"] * 2
    assert flow.clock.slept == [PAUSE, PAUSE]
    assert [note.attempt for note in progress.attempts] == [1, 2, 3]
    assert [note.what for note in progress.attempts] == ["upstream_error"] * 2 + ["completed"]
    assert [note.phase for note in progress.attempts] == ["streaming"] * 3


async def test_a_bare_1011_is_tried_again_too() -> None:
    flow = Flow()
    flow.agent.play([Close(1011)], answering("Hi"))
    verdict, progress = await run(flow)
    assert verdict.kind is Kind.COMPLETED
    assert [note.what for note in progress.attempts] == ["internal_error", "completed"]


async def test_every_attempt_sends_the_same_request_with_the_same_deadline() -> None:
    flow = Flow(deadline=100.0)
    began = flow.clock.now()
    flow.agent.play([Lose()], [Lose()])
    await run(flow, message(text="a microwave"))
    assert {asked.request for asked in flow.agent.asked} == {message(text="a microwave").body}
    assert {asked.deadline for asked in flow.agent.asked} == {began + 100.0}
    assert len(flow.agent.asked) == 3


async def test_used_up_attempts_end_with_the_verdict_on_the_last_one() -> None:
    flow = Flow(attempts=3)
    flow.agent.play([Lose()], [Lose()], [Close(1013)], answering("too late"))
    verdict, progress = await run(flow)
    assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "try_again_later")
    assert flow.publisher.kinds == ["retrying"] * 2
    assert len(progress.attempts) == 3
    assert progress.final is None


@pytest.mark.parametrize("ending", [[Close(1008)], [failing(400), Close(1008)], [Refuse(401)]])
async def test_a_rejection_is_not_tried_again(ending: list[Step]) -> None:
    flow = Flow()
    flow.agent.play(ending, answering("never asked for"))
    verdict, progress = await run(flow)
    assert verdict.kind is Kind.REJECTED
    assert (len(flow.agent.asked), len(progress.attempts)) == (1, 1)
    assert flow.publisher.kinds == []


async def test_attempts_end_when_the_next_would_begin_past_the_deadline() -> None:
    flow = Flow(attempts=60, deadline=2.5 * PAUSE)
    flow.agent.play(*([[Refuse(503)]] * 60))
    verdict, progress = await run(flow)
    assert verdict.reason == "upstream_error"
    assert len(progress.attempts) == 3
    assert flow.publisher.kinds == ["retrying"] * 2


async def test_a_deadline_that_passes_within_an_attempt_rejects_the_job() -> None:
    flow = Flow(deadline=10.0)
    flow.agent.play([updating("Hel"), Silence(60.0), final("too late")])
    verdict, progress = await run(flow)
    assert (verdict.kind, verdict.reason) == (Kind.REJECTED, "deadline_exceeded")
    assert progress.text == "Hel"
    assert flow.publisher.kinds == ["update"]


async def test_the_deadline_begins_to_run_with_the_first_attempt_not_with_the_wait_for_it() -> None:
    flow = Flow(concurrency=1, deadline=100.0)
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    busy = asyncio.create_task(run(flow))
    await gate.reached()
    waiting = asyncio.create_task(run(flow, message("task_2")))
    await let_run()
    flow.clock.seconds += 1000.0
    gate.open()
    await busy
    verdict, _ = await waiting
    assert verdict.kind is Kind.COMPLETED
    assert flow.agent.asked[1].deadline == flow.clock.now() + 100.0


async def test_what_was_ignored_is_logged_once_an_attempt(caplog: pytest.LogCaptureFixture) -> None:
    flow = Flow()
    flow.agent.play([b'{"event":"typing"}', b'{"event":"typing"}', final("Hi")])
    await run(flow)
    (record,) = caplog.records
    assert "task_1" in record.message
    assert "typing" in record.message


async def test_a_retry_after_is_obeyed() -> None:
    flow = Flow()
    flow.agent.play([Refuse(429, retry_after=7.0)], answering("Hi"))
    verdict, _ = await run(flow)
    assert verdict.kind is Kind.COMPLETED
    assert flow.clock.slept == [7.0]
    assert flow.publisher.published[0].headers[h.RETRY_IN] == 7.0


async def test_a_retry_after_beyond_the_deadline_ends_the_turn_at_once() -> None:
    flow = Flow(deadline=20.0)
    flow.agent.play([Refuse(429, retry_after=21.0)], answering("too late"))
    verdict, _ = await run(flow)
    assert verdict.reason == "rate_limited"
    assert flow.clock.slept == []
    assert flow.publisher.kinds == []


async def test_a_sleeping_retry_leaves_its_place_to_another_turn() -> None:
    flow = Flow(concurrency=1)
    flow.clock.gate.shut()
    flow.agent.play([Lose()], answering("Hi"))
    sleeping = asyncio.create_task(run(flow))
    await flow.clock.gate.reached()
    verdict, _ = await run(flow, message("task_2"))
    assert verdict.kind is Kind.COMPLETED
    assert not sleeping.done()
    flow.clock.gate.open()
    assert (await sleeping)[0].kind is Kind.COMPLETED


async def test_no_more_conversations_are_open_than_allowed() -> None:
    flow = Flow(concurrency=2)
    gate = Gate().shut()
    flow.agent.play(*([gate, *answering("Hi")] for _ in range(5)))
    turns = [asyncio.create_task(run(flow, message(f"task_{number}"))) for number in range(5)]
    await flow.journal.until("converse", 2)
    await let_run()
    assert len(flow.agent.asked) == 2
    gate.open()
    await asyncio.gather(*turns)
    assert (len(flow.agent.asked), flow.agent.most_open) == (5, 2)


@pytest.mark.parametrize("script", [answering("Hi"), [Refuse(503)], [Lose()]])
async def test_the_task_exchange_stands_before_anything_is_published(script: list[Step]) -> None:
    flow = Flow()
    flow.exchanges.gate.shut()
    flow.agent.play(script)
    turn = asyncio.create_task(run(flow))
    await flow.exchanges.gate.reached()
    await flow.journal.until("hung up")
    await let_run()
    assert flow.publisher.published == []
    flow.exchanges.gate.open()
    await turn
    assert flow.exchanges.standing == {("default", "task_1")}
    assert flow.publisher.published


async def test_the_task_exchange_stands_before_the_final_though_there_were_no_updates() -> None:
    flow = Flow()
    flow.agent.play([final("Hi")])
    await run(flow, message(headers={h.UPDATES: "off"}))
    assert flow.exchanges.standing == {("default", "task_1")}


async def test_the_task_exchange_is_in_use_for_all_of_the_turn_and_no_longer() -> None:
    flow = Flow()
    flow.clock.gate.shut()
    flow.agent.play([Lose()])
    turn = asyncio.create_task(run(flow))
    await flow.clock.gate.reached()
    assert flow.exchanges.held["default", "task_1"] == 1
    flow.clock.gate.open()
    await turn
    assert flow.exchanges.held["default", "task_1"] == 0


async def test_reading_never_waits_for_publishing() -> None:
    flow = Flow()
    flow.exchanges.gate.shut()
    flow.agent.play(answering("word " * 50))
    turn = asyncio.create_task(run(flow))
    await flow.journal.until("hung up")
    assert flow.publisher.published == []
    flow.exchanges.gate.open()
    await turn
    assert flow.publisher.kinds == ["update"] * 50


async def test_attempts_are_counted_on_from_those_before() -> None:
    flow = Flow()
    flow.agent.play([Lose()])
    await run(flow, base=64)
    assert {reply.attempt for reply in flow.publisher.published} == {65, 66}


async def test_no_update_is_published_where_none_is_wanted() -> None:
    flow = Flow()
    flow.agent.play(BROKEN, answering("Hi there"))
    verdict, _ = await run(flow, message(headers={h.UPDATES: "off"}))
    assert verdict.kind is Kind.COMPLETED
    assert flow.publisher.kinds == ["retrying"]


async def test_a_bug_of_the_agent_is_raised_and_not_tried_again() -> None:
    flow = Flow()
    flow.agent.play([updating("Hel"), Bug(ZeroDivisionError("oops"))], answering("never"))
    with no_task_left(), pytest.raises(ZeroDivisionError):
        await run(flow)
    assert (len(flow.agent.asked), flow.agent.open) == (1, 0)
    assert flow.exchanges.held["default", "task_1"] == 0


async def test_a_cancelled_turn_hangs_up_and_leaves_nothing_running() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([updating("Hel"), gate])
    with no_task_left():
        turn = asyncio.create_task(run(flow))
        await flow.journal.until("update")
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    assert flow.agent.open == 0
    assert flow.exchanges.held["default", "task_1"] == 0


async def test_a_stale_socket_costs_no_attempt_and_the_history_is_looked_at_first() -> None:
    flow = Flow(attempts=1)
    flow.agent.histories["task_1"] = []
    flow.agent.play([Stale(reached=False)], answering("Hi"))
    verdict, progress = await run(flow)
    assert verdict.kind is Kind.COMPLETED
    assert (len(flow.agent.asked), flow.agent.calls[0]) == (2, "task_messages")
    assert flow.publisher.kinds == ["update"]
    assert [(reply.attempt, reply.seq) for reply in flow.publisher.published] == [(1, 1)]
    assert [(note.attempt, note.what) for note in progress.attempts] == [(1, "completed")]


async def test_a_message_that_went_over_a_stale_socket_is_not_sent_again_once_it_is_answered() -> (
    None
):
    flow = Flow(attempts=1)
    flow.agent.play([Stale()])
    turn = asyncio.create_task(run(flow))
    flow.clock.gate.shut()
    await flow.clock.gate.reached()
    answer = flow.agent.say("task_1", "I heard you", by_user=False)
    flow.clock.gate.open()
    verdict, progress = await turn
    assert verdict.kind is Kind.COMPLETED
    assert (len(flow.agent.asked), progress.recovered) == (1, True)
    assert progress.final is not None
    assert progress.final.raw == answer.raw


async def test_a_stale_socket_is_no_evidence_against_the_network() -> None:
    flow = Flow(attempts=1, brownout_after=1)
    for number in range(5):
        flow.agent.play([Stale(reached=False)], answering("Hi"))
        flow.agent.histories[f"task_{number}"] = []
        assert (await run(flow, message(f"task_{number}")))[0].kind is Kind.COMPLETED
    assert flow.gate.brown() == {}


async def test_after_a_stale_socket_nothing_is_sent_under_a_lost_delivery() -> None:
    flow = Flow()
    received = received_of(message(), at=flow.clock.now())
    flow.agent.histories["task_1"] = []
    flow.agent.play([Stale(reached=False)], answering("never asked for"))
    flow.clock.gate.shut()
    job, progress = received.job, Progress(flow.clock.port)
    assert job is not None
    turn = asyncio.create_task(
        flow.turns.run(received, job, "task_1", Replies(job.address, 0), progress)
    )
    await flow.clock.gate.reached()
    assert isinstance(received.delivery, FakeDelivery)
    received.delivery.lost = True
    flow.clock.gate.open()
    assert (await turn).kind is Kind.POSTPONED
    assert len(flow.agent.asked) == 1
