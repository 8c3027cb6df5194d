"""What may have been asked is not asked again before its task's history was looked at."""

import json
from dataclasses import replace

import pytest

from tests.conformance.script import Close, Lose, Refuse, updating
from tests.unit.relay.flow import PAUSE, Flow, again, message
from tests.unit.relay.oracle import Fate, world_of
from worker.core import headers as h
from worker.core.verdict import Source, judge

pytestmark = pytest.mark.anyio

DOWN = judge(Source.STATUS, 503)
TOLD = [Close(1011), Close(1012), Close(1013)]
UNTOLD = [Lose(), Close(1006), Lose(Source.LOCAL_CLOSE, 1011), Lose(Source.IDLE_TIMEOUT)]


@pytest.mark.parametrize("ending", [*TOLD, *UNTOLD])
async def test_an_answer_that_did_not_get_through_is_taken_from_the_history(
    ending: Close | Lose,
) -> None:
    world, oracle = world_of(Fate(ending))
    flow = Flow(world=world)
    delivery = await flow.handle(message())
    assert len(oracle.heard) == 1
    assert flow.publisher.kinds == ["update", "retrying", "final"]
    answer = flow.publisher.published[-1]
    assert answer.body == oracle.answer(0).raw
    assert (answer.attempt, answer.seq) == (2, 1)
    assert answer.headers[h.RECOVERED] is True
    assert delivery.acked


async def test_an_answer_that_came_over_the_socket_is_not_called_recovered() -> None:
    world, _ = world_of(Fate(Close(1011), answered=False))
    flow = Flow(world=world)
    await flow.handle(message())
    assert h.RECOVERED not in flow.publisher.published[-1].headers


@pytest.mark.parametrize(
    ("ending", "patience"), [(Close(1011), 2.0), (Lose(), 30.0), (Lose(Source.IDLE_TIMEOUT), 30.0)]
)
async def test_what_stays_unanswered_for_its_time_is_asked_again(
    ending: Close | Lose, patience: float
) -> None:
    world, oracle = world_of(Fate(ending, answered=False))
    flow = Flow(world=world)
    began = flow.clock.seconds
    await flow.handle(message())
    assert [heard.answer is None for heard in oracle.heard] == [True, False]
    assert flow.clock.seconds - began == patience
    assert flow.publisher.published[-1].body == oracle.answer(1).raw


@pytest.mark.parametrize("ending", [Close(1011), Lose()])
async def test_an_answer_that_comes_within_its_time_is_waited_for(ending: Close | Lose) -> None:
    after = 1.9 if isinstance(ending, Close) else 29.0
    world, oracle = world_of(Fate(ending, after=after))
    flow = Flow(world=world)
    await flow.handle(message())
    assert len(oracle.heard) == 1
    assert flow.publisher.published[-1].body == oracle.answer(0).raw


@pytest.mark.parametrize(("ending", "patience"), [(Close(1011), 2.0), (Lose(), 5.0)])
async def test_what_is_not_in_the_history_is_asked_again_when_that_cannot_be_its_lag(
    ending: Close | Lose, patience: float
) -> None:
    world, oracle = world_of(Fate(ending, reached=False))
    flow = Flow(world=world)
    began = flow.clock.seconds
    await flow.handle(message())
    assert len(oracle.asked) == 2
    assert len(oracle.heard) == 1
    assert flow.clock.seconds - began == patience


async def test_a_history_that_lags_is_no_reason_to_ask_again() -> None:
    world, oracle = world_of(Fate(Lose()))
    oracle.lag = 4.0
    flow = Flow(world=world)
    await flow.handle(message())
    assert len(oracle.heard) == 1


async def test_what_cannot_have_reached_aui_is_sent_again_without_looking() -> None:
    flow = Flow()
    flow.agent.play([Refuse(503)], [Refuse(429, retry_after=3.0)])
    await flow.handle(message())
    assert len(flow.agent.asked) == 3
    assert flow.agent.calls == []
    assert flow.clock.slept == [PAUSE, 3.0]


@pytest.mark.parametrize("looks", [1, 3])
async def test_a_history_that_is_not_to_be_had_is_an_attempt_and_nothing_is_asked(
    looks: int,
) -> None:
    world, oracle = world_of(Fate(Lose()))
    oracle.unavailable.extend([DOWN] * looks)
    flow = Flow(world=world)
    await flow.handle(message())
    assert len(oracle.heard) == 1
    assert flow.publisher.kinds == ["update", "retrying", *["retrying"] * looks, "final"]
    reasons = [reply.headers.get(h.REASON) for reply in flow.publisher.published[1:-1]]
    assert reasons == ["connection_lost", *["upstream_error"] * looks]
    assert flow.publisher.published[-1].attempt == looks + 2


async def test_a_history_that_is_never_to_be_had_costs_all_attempts_but_no_second_question() -> (
    None
):
    world, oracle = world_of(Fate(Lose()))
    oracle.unavailable.extend([DOWN] * 9)
    flow = Flow(attempts=4, world=world)
    delivery = await flow.handle(message())
    assert len(oracle.heard) == 1
    (letter,) = flow.copies.letters
    attempts = json.loads(letter.properties.headers[h.DEAD_ATTEMPTS])
    assert [(each["phase"], each["what"]) for each in attempts] == [
        ("streaming", "connection_lost"),
        *[("looking", "upstream_error")] * 3,
    ]
    assert letter.properties.headers[h.DEAD_REASON] == "upstream_error"
    assert delivery.acked


async def test_a_history_that_is_refused_ends_the_job() -> None:
    world, oracle = world_of(Fate(Lose()))
    oracle.unavailable.append(judge(Source.STATUS, 401))
    flow = Flow(world=world)
    delivery = await flow.handle(message())
    assert len(oracle.heard) == 1
    assert flow.copies.letters[0].properties.headers[h.DEAD_REASON] == "unauthorized"
    assert flow.publisher.kinds == ["update", "retrying", "failed"]
    assert delivery.acked


async def test_the_answer_to_an_earlier_delivery_is_found_by_the_next_at_once() -> None:
    world, oracle = world_of()
    await Flow(world=world).handle(message())
    flow = Flow(world=world)
    delivery = await flow.handle(again(message()))
    assert len(oracle.heard) == 1
    assert flow.clock.slept == []
    first, second = (one for one in flow.publisher.published if one.terminal)
    assert second.body == first.body
    assert (second.attempt, second.headers[h.RECOVERED]) == (65, True)
    assert delivery.acked


@pytest.mark.parametrize(("reached", "patience"), [(True, 30.0), (False, 5.0)])
async def test_a_redelivery_waits_as_after_a_lost_connection_from_its_receipt(
    reached: bool, patience: float
) -> None:
    world, oracle = world_of()
    if reached:
        oracle.say("task_1", "hello", by_user=True)
    flow = Flow(world=world)
    began = flow.clock.seconds
    await flow.handle(again(message()))
    assert len(oracle.heard) == 1
    assert flow.clock.seconds - began == patience


async def test_a_redelivery_that_waited_long_enough_in_its_lane_is_asked_at_once() -> None:
    world, oracle = world_of(Fate(after=60.0))
    flow = Flow(world=world)
    flow.take(message(text="and a fridge", job_id="job_0"))
    flow.take(again(message()))
    await flow.idle()
    assert [json.loads(asked.request)["text"] for asked in oracle.asked] == [
        "and a fridge",
        "hello",
    ]
    assert flow.clock.slept == [60.0]


async def test_time_that_is_over_ends_the_looking_and_the_job() -> None:
    world, oracle = world_of(Fate(Lose(), after=29.0))
    flow = Flow(deadline=10.0, world=world)
    began = flow.clock.seconds
    delivery = await flow.handle(message())
    assert len(oracle.heard) == 1
    assert flow.copies.letters[0].properties.headers[h.DEAD_REASON] == "deadline_exceeded"
    assert flow.publisher.published[-1].headers[h.REASON] == "deadline_exceeded"
    assert 10.0 <= flow.clock.seconds - began <= 12.0
    assert delivery.acked


async def test_polling_is_no_attempt() -> None:
    world, _ = world_of(Fate(Lose(), answered=False))
    flow = Flow(attempts=2, world=world)
    delivery = await flow.handle(message())
    assert flow.publisher.kinds[-1] == "final"
    assert flow.publisher.published[-1].attempt == 2
    assert delivery.acked
    assert len(flow.clock.slept) > 10
    assert flow.clock.slept[0] == PAUSE


async def test_the_answer_to_an_earlier_question_is_not_taken_for_the_next_one() -> None:
    world, oracle = world_of(Fate(), Fate(Lose(), answered=False))
    flow = Flow(world=world)
    for number in range(2):
        await flow.handle(message(text="yes", job_id=f"job_{number}"))
    assert len(oracle.heard) == 3
    bodies = [one.body for one in flow.publisher.published if one.terminal]
    assert bodies == [oracle.answer(0).raw, oracle.answer(2).raw]


async def test_what_a_failed_job_asked_is_not_taken_for_the_next_one() -> None:
    world, oracle = world_of(Fate(Close(1011), answered=False), Fate(Close(1008), reached=False))
    flow = Flow(world=world)
    await flow.handle(message(text="yes", job_id="job_0"))
    assert flow.publisher.kinds[-1] == "failed"
    began = flow.clock.seconds
    await flow.handle(again(message(text="yes", job_id="job_1")))
    assert flow.clock.seconds - began == 5.0, "taken for asked it would have waited longer"
    assert flow.publisher.published[-1].body == oracle.answer(1).raw


async def test_a_copy_of_a_redelivered_job_is_looked_for_on_its_first_delivery() -> None:
    world, oracle = world_of()
    oracle.say("task_1", "hello", by_user=True)
    answer = oracle.say("task_1", "Hi", by_user=False)
    flow = Flow(world=world)
    await flow.handle(message(headers={h.MAYBE_SENT: True}, timestamp=flow.clock.utc()))
    assert oracle.heard == []
    assert flow.publisher.published[-1].body == answer.raw


async def test_a_first_delivery_is_asked_whatever_the_history_says() -> None:
    world, oracle = world_of()
    oracle.say("task_1", "hello", by_user=True)
    oracle.say("task_1", "Hi", by_user=False)
    await Flow(world=world).handle(replace(message(), redelivered=False))
    assert len(oracle.heard) == 1
    assert oracle.calls == []


async def test_the_answer_to_the_last_attempt_is_looked_for_too() -> None:
    """Nothing is left to be tried, but AUI has answered."""
    flow = Flow(attempts=1)
    flow.agent.play([updating("Hi"), Lose()])
    delivery = flow.take(message())
    await flow.journal.until("hung up")
    answer = flow.agent.say("task_1", "Hi there", by_user=False)
    await flow.idle()
    assert delivery.acked
    assert flow.copies.letters == []
    final = flow.publisher.published[-1]
    assert (final.kind, final.body, final.attempt) == ("final", answer.raw, 2)
    assert len(flow.agent.asked) == 1


async def test_a_last_look_that_is_cut_short_gives_the_job_back() -> None:
    """The worker stops while it looks for the answer to the last attempt: the next one looks."""
    flow = Flow(attempts=1)
    flow.agent.play([updating("Hi"), Lose()])
    delivery = flow.take(message())
    await flow.journal.until("hung up")
    flow.gate.quiet()
    await flow.idle()
    assert delivery.given_back
    assert not delivery.acked
    assert flow.copies.letters == []
