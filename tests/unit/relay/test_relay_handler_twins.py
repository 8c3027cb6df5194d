"""The same text twice in a row ("yes", "yes"): whatever happens, each job gets its own answer."""

import pytest

from tests.conformance.script import PATIENCE, Close, Gate, Lose, answering, final
from tests.fakes import FakeChannel
from tests.unit.relay.fleet import CRASH, CUT, LOSE, Fleet
from tests.unit.relay.flow import Flow, again, message
from tests.unit.relay.oracle import Fate

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(12 * PATIENCE)]

FATES = {
    "all is well": [],
    "the first answer is lost": [Fate(Lose(), after=3.0)],
    "both answers are lost": [Fate(Lose()), Fate(Lose(), after=3.0)],
    "1011 and no answer": [Fate(Close(1011), answered=False)],
    "1011 and the second is not heard": [Fate(), Fate(Close(1011), reached=False)],
}


async def worked_off(mishaps: dict[int, str], fates: list[Fate], *texts: str) -> Fleet:
    """Bring jobs with these texts to their end, and check that each was answered."""
    fleet = Fleet(mishaps)
    fleet.agent.fates.extend(fates)
    fleet.publish(*texts)
    await fleet.work()
    fleet.check()
    return fleet


@pytest.mark.parametrize("mishap", [CRASH, CUT, LOSE])
@pytest.mark.parametrize("fates", FATES.values(), ids=FATES)
async def test_whatever_happens_before_whichever_step_each_is_asked_once_and_answered(
    fates: list[Fate], mishap: str
) -> None:
    steps = (await worked_off({}, fates, "yes", "yes")).steps.taken
    asked = len((await worked_off({}, fates, "yes", "yes")).agent.heard)
    for step in range(1, steps + 1):
        fleet = await worked_off({step: mishap}, fates, "yes", "yes")
        assert len(fleet.agent.heard) == asked, step


async def test_two_crashes_in_whichever_places_make_no_difference() -> None:
    steps = (await worked_off({}, [], "yes", "yes")).steps.taken
    for first in range(1, steps + 1):
        for second in range(first + 1, first + steps + 1):
            fleet = await worked_off({first: CRASH, second: CRASH}, [], "yes", "yes")
            assert len(fleet.agent.heard) == 2, (first, second)


@pytest.mark.parametrize("mishap", [CRASH, CUT, LOSE])
async def test_three_in_a_row_and_two_with_another_between_are_told_apart_too(mishap: str) -> None:
    for texts in (["yes"] * 3, ["yes"] * 4, ["yes", "yes", "no", "yes"], ["no", "yes", "yes"]):
        steps = (await worked_off({}, [], *texts)).steps.taken
        for step in range(1, steps + 1):
            fleet = await worked_off({step: mishap}, [], *texts)
            assert len(fleet.agent.heard) == len(texts), (texts, step)


async def test_the_first_is_settled_with_the_second_and_not_before() -> None:
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([final("One")], [gate, final("Two")])
    first, second = (
        flow.take(message(text="yes", job_id=job_id), channel) for job_id in ("one", "two")
    )
    await gate.reached()
    assert flow.publisher.kinds == ["final"]
    assert not first.settled
    gate.open()
    await flow.idle()
    assert (first.acked, second.acked) == (True, True)
    assert flow.journal.entries[-3:] == ["final", "ack", "ack"]


async def test_other_texts_are_settled_one_by_one() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([final("One")], [gate, final("Two")])
    first, _ = (flow.take(message(text=text, job_id=text)) for text in ("yes", "no"))
    await gate.reached()
    assert first.acked
    gate.open()
    await flow.idle()


async def test_if_the_second_cannot_be_begun_both_go_back_and_are_told_apart_when_they_return() -> (
    None
):
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([gate, final("One", id="msg_1")], [final("Two", id="msg_2")])
    envelopes = [message(text="yes", job_id=job_id) for job_id in ("one", "two")]
    first, second = (flow.take(envelope, channel) for envelope in envelopes)
    await gate.reached()
    channel.recall()
    gate.open()
    await flow.idle()
    assert (first.settled, first.given_back) == (False, True)
    assert (second.settled, second.claimed) == (False, False)
    assert channel.lost
    returned = [flow.take(again(envelope)) for envelope in envelopes]
    await flow.idle()
    assert all(delivery.acked for delivery in returned)
    finals = [one for one in flow.publisher.published if one.terminal]
    assert [one.address.job_id for one in finals] == ["one", "two"]
    assert len(flow.agent.asked) == 2


async def test_if_the_second_fails_both_are_done() -> None:
    flow = Flow()
    flow.agent.play(answering("One"), [Close(1008)])
    deliveries = [flow.take(message(text="yes", job_id=job_id)) for job_id in ("one", "two")]
    await flow.idle()
    assert all(delivery.acked for delivery in deliveries)
    assert flow.publisher.kinds == ["update", "final", "failed"]


async def test_if_the_first_fails_it_is_done_with() -> None:
    flow = Flow()
    gate = Gate().shut()
    flow.agent.play([Close(1008)], [gate, final("Two")])
    first, _ = (flow.take(message(text="yes", job_id=job_id)) for job_id in ("one", "two"))
    await gate.reached()
    assert first.acked
    gate.open()
    await flow.idle()


async def test_jobs_on_their_way_to_their_slot_are_settled_one_by_one() -> None:
    flow = Flow()
    for job_id in ("one", "two"):
        flow.take(message(text="yes", job_id=job_id, key="stray"))
    await flow.idle()
    assert flow.journal.entries == ["forward", "ack"] * 2


async def test_the_repeat_of_a_first_is_settled_with_the_second_too() -> None:
    flow = Flow()
    await flow.handle(message(text="yes", job_id="one"))
    gate = Gate().shut()
    flow.agent.play([gate, final("Two")])
    first = flow.take(again(message(text="yes", job_id="one")))
    second = flow.take(message(text="yes", job_id="two"))
    await gate.reached()
    assert not first.settled
    gate.open()
    await flow.idle()
    assert (first.acked, second.acked) == (True, True)


async def test_a_first_that_failed_and_comes_again_is_done_with() -> None:
    flow = Flow()
    flow.agent.play([Close(1008)])
    await flow.handle(message(text="yes", job_id="one"))
    gate = Gate().shut()
    flow.agent.play([gate, final("Two")])
    first = flow.take(again(message(text="yes", job_id="one")))
    flow.take(message(text="yes", job_id="two"))
    await gate.reached()
    assert first.acked
    gate.open()
    await flow.idle()


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
async def test_when_both_are_answered_before_they_come_again_nobody_is_asked_again(
    named: bool,
) -> None:
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([final("One", id="msg_1")], [gate, final("Two", id="msg_2")])
    envelopes = [message(text="yes", job_id=job_id if named else None) for job_id in ("a", "b")]
    for envelope in envelopes:
        flow.take(envelope, channel)
    await gate.reached()
    channel.lose()
    gate.open()
    await flow.idle()
    returned = [flow.take(again(envelope)) for envelope in envelopes]
    await flow.idle()
    assert all(delivery.acked for delivery in returned)
    assert len(flow.agent.asked) == 2
    assert flow.publisher.kinds == ["final", "final"]


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
async def test_when_the_link_is_lost_while_the_second_is_asked_both_go_on(named: bool) -> None:
    flow, channel = Flow(), FakeChannel()
    gate = Gate().shut()
    flow.agent.play([final("One", id="msg_1")], [gate, final("Two", id="msg_2")])
    envelopes = [message(text="yes", job_id=job_id if named else None) for job_id in ("a", "b")]
    for envelope in envelopes:
        flow.take(envelope, channel)
    await gate.reached()
    channel.lose()
    returned = [flow.take(again(envelope)) for envelope in envelopes]
    assert all(delivery.claimed for delivery in returned)
    gate.open()
    await flow.idle()
    assert all(delivery.acked for delivery in returned)
    assert len(flow.agent.asked) == 2
    assert flow.publisher.kinds == ["final", "final"]
