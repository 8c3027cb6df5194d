"""While its network is out a job waits in its queue, in order and uncounted."""

import pytest

from tests.conformance.script import Close, Gate, Lose, Refuse, answering, final, updating
from tests.fakes import FakeChannel
from tests.unit.relay.flow import Flow, World, again, from_user, message
from tests.unit.relay.hourglass import Hourglass
from worker.core import headers as h
from worker.core.brownout import State
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.verdict import COMPLETED, Source, judge
from worker.relay.door import HELD_FOR

pytestmark = pytest.mark.anyio

REFUSED = judge(Source.STATUS, 401)
PAUSED = judge(Source.STATUS, 429, retry_after=100.0)


def put_out(flow: Flow) -> None:
    """Brown the network out."""
    for number in range(3):
        flow.gate.ended(flow.gate.visit("default"), f"other_{number}", REFUSED)
    assert flow.gate.door("default").state is State.OUT


def probe(flow: Flow, times: int = 1) -> None:
    """Let probes succeed: the first opens the network half, the second all of it."""
    for _ in range(times):
        flow.gate.door("default").probed(COMPLETED)


async def test_every_job_of_the_lane_goes_back_unasked_and_nobody_is_told() -> None:
    flow, channel = Flow(), FakeChannel()
    put_out(flow)
    deliveries = [flow.take(message(job_id=f"job_{n}", text=f"{n}"), channel) for n in range(3)]
    await flow.idle()
    assert flow.journal.entries == ["exchange", "given back"]
    assert channel.lost
    assert not any(delivery.settled for delivery in deliveries)
    assert (flow.agent.asked, flow.publisher.published) == ([], [])


async def test_a_job_by_user_goes_back_too() -> None:
    flow = Flow()
    put_out(flow)
    delivery = await flow.handle(from_user())
    assert delivery.given_back
    assert flow.agent.calls == []


async def test_jobs_on_their_way_to_their_slot_need_no_network() -> None:
    flow = Flow()
    put_out(flow)
    assert (await flow.handle(message(key="stray"))).acked


@pytest.mark.parametrize("text", ["Hel", ""])
async def test_the_job_in_whose_turn_it_goes_out_says_so_if_it_had_said_something(
    text: str,
) -> None:
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([*([updating(text)] if text else []), gate, Lose()])
    first = flow.take(message(), channel)
    waiting = flow.take(message(job_id="job_2"), channel)
    await gate.reached()
    put_out(flow)
    gate.open()
    await flow.idle()
    assert flow.publisher.kinds == (["update", "retrying"] if text else [])
    assert (first.given_back, first.settled) == (True, False)
    assert (waiting.claimed, waiting.settled, waiting.given_back) == (False, False, False)
    assert channel.lost
    assert flow.copies.letters == []


async def test_what_runs_beside_it_is_finished_and_settled_first() -> None:
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([gate, final("Hi")])
    running = flow.take(message("task_1"), channel)
    await gate.reached()
    put_out(flow)
    waiting = flow.take(message("task_2"), channel)
    await flow.journal.until("given back")
    assert not channel.lost
    gate.open()
    await flow.idle()
    assert running.acked
    assert not waiting.settled
    assert channel.lost


async def test_when_the_network_is_well_it_is_asked_and_numbered_on() -> None:
    flow = Flow()
    put_out(flow)
    await flow.handle(message())
    probe(flow, 2)
    delivery = await flow.handle(again(message()))
    assert len(flow.agent.asked) == 1
    assert flow.agent.calls == [], "it was here all the time and is known not to have been sent"
    assert flow.publisher.published[-1].attempt == ATTEMPTS_PER_DELIVERY + 1
    assert delivery.acked


async def test_what_was_asked_before_it_went_back_is_looked_for_when_it_returns() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, Lose()])
    flow.take(message())
    await gate.reached()
    put_out(flow)
    gate.open()
    await flow.idle()
    answer = flow.agent.say("task_1", "Hi", by_user=False)
    probe(flow, 2)
    await flow.handle(again(message()))
    assert len(flow.agent.asked) == 1
    assert flow.publisher.published[-1].body == answer.raw


async def test_a_long_pause_that_aui_asks_for_is_waited_in_the_queue() -> None:
    flow = Flow()
    flow.agent.play([Refuse(429, retry_after=100.0)])
    delivery = await flow.handle(message())
    assert delivery.given_back
    assert flow.publisher.published == []
    assert flow.clock.slept == []


async def test_a_rejected_job_is_kept_though_it_puts_the_network_out() -> None:
    flow = Flow()
    flow.agent.play(*[[Refuse(401)]] * 3)
    deliveries = [await flow.handle(message(f"task_{number}")) for number in range(3)]
    assert flow.gate.door("default").state is State.OUT
    assert len(flow.copies.letters) == 3
    assert all(delivery.acked for delivery in deliveries)


async def test_many_interruptions_of_one_task_put_nothing_out() -> None:
    flow = Flow(attempts=8, brownout_after=3)
    flow.agent.play(*[[Refuse(503)]] * 7, answering("Hi"))
    assert (await flow.handle(message())).acked
    assert flow.publisher.kinds == [*["retrying"] * 7, "update", "final"]


async def test_the_first_answer_to_a_half_open_network_makes_it_well() -> None:
    flow = Flow()
    put_out(flow)
    probe(flow)
    assert flow.gate.door("default").state is State.HALF
    assert (await flow.handle(message())).acked
    assert flow.gate.door("default").state is State.HEALTHY


async def test_a_canary_that_fails_stays_unsettled_until_the_next_try() -> None:
    flow = Flow(attempts=1, world=World(clock=Hourglass))
    clock = flow.clock
    assert isinstance(clock, Hourglass)
    put_out(flow)
    probe(flow)
    flow.agent.play([Refuse(503)], [Refuse(503)], answering("Hi"))
    delivery = flow.take(message())
    for tries in (1, 2):
        await clock.run(100.0)
        assert len(flow.agent.asked) == tries
        assert flow.gate.door("default").state is State.OUT
        assert delivery.claimed
        probe(flow)
    await flow.idle()
    assert delivery.acked
    assert flow.gate.door("default").state is State.HEALTHY
    assert flow.publisher.kinds == ["retrying", "retrying", "update", "final"]


async def test_a_canary_goes_back_when_it_has_waited_too_long() -> None:
    flow = Flow()
    put_out(flow)
    probe(flow)
    flow.agent.play([Refuse(503)])
    began = flow.clock.seconds
    delivery = await flow.handle(message())
    assert delivery.given_back
    assert flow.clock.seconds - began >= HELD_FOR
    assert flow.publisher.published[-1].headers[h.REASON] == "upstream_error"


async def test_a_job_that_ends_in_a_close_of_its_own_is_no_evidence_while_the_network_is_out() -> (
    None
):
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([gate, Close(1008)])
    delivery = flow.take(message())
    await gate.reached()
    put_out(flow)
    gate.open()
    await flow.idle()
    assert delivery.acked
    assert len(flow.copies.letters) == 1
    assert flow.gate.door("default").state is State.OUT
