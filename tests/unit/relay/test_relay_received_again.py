"""Work goes on under the redelivery of its job; if none comes it is abandoned."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.script import PATIENCE
from tests.fakes import FakeChannel
from tests.unit.relay.flow import again, from_user, let_run, message
from tests.unit.relay.handed_over import Desk
from worker.core.envelope import Envelope

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(PATIENCE)]

MOMENT = datetime(2026, 3, 9, 14, tzinfo=UTC)


async def test_a_redelivery_takes_the_place_of_a_lost_delivery_and_is_claimed() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on():
        desk.channel.lose()
        second = desk.redeliver(received)
        assert received.joined_by(second)
        assert received.delivery is second.delivery
        await received.ack()
    assert desk.settled == ["one acked"]


@pytest.mark.parametrize(
    "other",
    [
        message(text="yes", job_id="two"),
        message("task_2", "yes", job_id="one"),
        from_user(text="yes", job_id="one"),
        message(text="yes", job_id=None),
    ],
    ids=["id", "task", "user", "without an id"],
)
async def test_another_job_takes_no_place(other: Envelope) -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on():
        desk.channel.lose()
        assert not received.joined_by(desk.redeliver(desk.take(other)))


async def test_a_job_by_another_user_takes_no_place() -> None:
    desk = Desk()
    received = desk.take(from_user("user_1"), claimed=True)
    async with received.worked_on():
        desk.channel.lose()
        assert not received.joined_by(desk.redeliver(desk.take(from_user("user_2"))))
        assert received.joined_by(desk.redeliver(received))


@pytest.mark.parametrize("timestamp", [None, MOMENT])
async def test_a_job_without_an_id_is_known_by_all_of_its_message(
    timestamp: datetime | None,
) -> None:
    desk = Desk()
    envelope = message(text="yes", job_id=None, timestamp=timestamp)
    received = desk.take(envelope, claimed=True)
    later = message(text="yes", job_id=None, timestamp=MOMENT + timedelta(seconds=1))
    async with received.worked_on():
        desk.channel.lose()
        desk.channel = FakeChannel()
        assert not received.joined_by(desk.take(envelope)), "it is no redelivery"
        assert not received.joined_by(desk.take(again(message(text="no", job_id=None))))
        assert not received.joined_by(desk.take(again(later)))
        assert received.joined_by(desk.take(again(envelope)))


async def test_nothing_takes_the_place_of_a_delivery_that_is_not_lost() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on():
        assert not received.joined_by(desk.redeliver(received))


async def test_nothing_takes_its_place_before_it_is_worked_on_or_after() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    desk.channel.lose()
    assert not received.joined_by(desk.redeliver(received))
    async with received.worked_on():
        pass
    assert not received.joined_by(desk.redeliver(received))


async def test_a_redelivery_that_cannot_be_claimed_takes_no_place() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on():
        desk.channel.lose()
        second = desk.redeliver(received)
        desk.channel.lose()
        assert not received.joined_by(second)
        assert received.delivery is not second.delivery


@pytest.mark.parametrize("job_ids", [("one", "two"), (None, None)], ids=["named", "nameless"])
async def test_redeliveries_of_equal_texts_take_their_places_in_order(
    job_ids: tuple[str | None, str | None],
) -> None:
    desk = Desk()
    one, two = desk.receive(job_ids[0], claimed=True), desk.receive(job_ids[1])
    await one.ack_with([two])
    assert two.claim()
    async with two.worked_on():
        desk.channel.lose()
        first, second = desk.redeliver(one), desk.redeliver(two)
        assert two.joined_by(first)
        assert two.joined_by(second)
        assert (one.delivery, two.delivery) == (first.delivery, second.delivery)
        await two.ack()
    assert desk.settled == [f"{job_id} acked" for job_id in job_ids]


async def test_work_whose_delivery_is_lost_is_abandoned_when_its_time_is_over() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on(patience=0.0) as work:
        await let_run()
        desk.channel.lose()
        await asyncio.Event().wait()
    assert work.abandoned
    assert desk.settled == []


async def test_work_on_what_is_lost_already_is_abandoned_too() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    desk.channel.lose()
    async with received.worked_on(patience=0.0) as work:
        await asyncio.Event().wait()
    assert work.abandoned


async def test_a_redelivery_in_time_saves_the_work_but_not_for_a_second_loss() -> None:
    desk = Desk()
    received, saved = desk.receive("one", claimed=True), False
    async with received.worked_on(patience=0.0) as work:
        desk.channel.lose()
        assert received.joined_by(desk.redeliver(received))
        await let_run()
        saved = True
        desk.channel.lose()
        await asyncio.Event().wait()
    assert saved
    assert work.abandoned


async def test_once_abandoned_work_is_joined_by_nothing() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on(patience=0.0):
        desk.channel.lose()
        try:
            await asyncio.Event().wait()
        finally:
            assert not received.joined_by(desk.redeliver(received))


async def test_what_came_again_is_given_back_when_what_carries_it_is_abandoned() -> None:
    desk = Desk()
    one, two = desk.receive("one", claimed=True), desk.receive("two")
    await one.ack_with([two])
    assert two.claim()
    async with two.worked_on(patience=0.0):
        desk.channel.lose()
        assert two.joined_by(desk.redeliver(one))
        await asyncio.Event().wait()
    assert desk.settled == ["one given back"]
    assert desk.channel.lost


async def test_a_loss_after_the_work_does_nothing() -> None:
    desk = Desk()
    received = desk.receive("one", claimed=True)
    async with received.worked_on(patience=0.0) as work:
        pass
    desk.channel.lose()
    await let_run()
    assert not work.abandoned


async def test_a_timeout_within_the_work_is_no_abandonment() -> None:
    received = Desk().receive("one", claimed=True)
    with pytest.raises(TimeoutError, match="ours"):
        async with received.worked_on():
            raise TimeoutError("ours")
