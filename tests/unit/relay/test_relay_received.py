"""A delivery is settled once, and together with earlier ones where only that tells them apart."""

from dataclasses import replace

import pytest

from tests.fakes import ManualClock
from tests.unit.relay.flow import message, received_of
from tests.unit.relay.handed_over import Desk

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("expires_at", "expired"), [(None, False), (-0.1, True), (0.0, True), (0.1, False)]
)
def test_a_job_is_expired_from_its_time_on(expires_at: float | None, expired: bool) -> None:
    clock = ManualClock()
    received = received_of(message())
    if expires_at is not None:
        received.expires_at = clock.utc().timestamp() + expires_at
    assert received.expired(clock.port) is expired


async def test_it_is_claimed_and_acked_by_its_delivery() -> None:
    desk = Desk()
    received = desk.receive("one")
    assert received.claim()
    await received.ack()
    assert desk.settled == ["one acked"]


async def test_what_is_lost_or_recalled_cannot_be_claimed() -> None:
    desk = Desk()
    running, waiting = desk.receive("running", claimed=True), desk.receive("waiting")
    desk.channel.recall()
    assert not waiting.claim()
    await running.ack()
    assert not desk.receive("late").claim()
    assert desk.settled == ["running acked"]


async def test_a_job_is_acked_alone_unless_its_text_comes_again_right_behind_it() -> None:
    desk = Desk()
    for behind in ([], [desk.receive("two", "no"), desk.receive("three")]):
        received = desk.receive("one", claimed=True)
        await received.ack_with(behind)
        assert desk.settled == ["one acked"]
        assert not any(other.carried for other in behind)
        desk.journal.entries.clear()


async def test_white_space_does_not_tell_two_texts_apart() -> None:
    desk = Desk()
    one, two = desk.receive("one", " yes\n", claimed=True), desk.receive("two")
    await one.ack_with([two])
    assert two.carried == [one]


async def test_what_is_no_job_carries_nothing() -> None:
    desk = Desk()
    one, two = desk.receive("one", claimed=True), desk.receive("two")
    two.job = None
    await one.ack_with([two])
    assert desk.settled == ["one acked"]


async def test_equal_texts_in_a_row_are_acked_together_the_first_and_the_last_at_the_end() -> None:
    desk = Desk()
    jobs = [desk.receive(name) for name in ("one", "two", "three", "four")]
    for number, job in enumerate(jobs):
        assert job.claim()
        assert desk.settled == []
        await job.ack_with(jobs[number + 1 :])
    assert desk.settled == ["three acked", "two acked", "one acked", "four acked"]


async def test_a_lost_delivery_that_still_waits_is_nothing_that_follows() -> None:
    desk = Desk()
    one, lost = desk.receive("one", claimed=True), desk.receive("two")
    desk.channel.lose()
    two = desk.redeliver(lost)
    await one.ack_with([lost, two])
    assert two.carried == [one]
    assert not lost.carried


async def test_what_cannot_be_started_goes_back_with_what_it_carries() -> None:
    desk = Desk()
    one, two = desk.receive("one", claimed=True), desk.receive("two")
    await one.ack_with([two])
    desk.channel.recall()
    assert not desk.channel.lost
    assert not two.claim()
    assert desk.settled == ["one given back"]
    assert desk.channel.lost


async def test_what_is_given_back_goes_with_what_it_carries() -> None:
    desk = Desk()
    one, two = desk.receive("one", claimed=True), desk.receive("two")
    await one.ack_with([two])
    assert two.claim()
    two.give_back()
    assert sorted(desk.settled) == ["one given back", "two given back"]


def test_a_received_job_shows_no_text_of_the_user() -> None:
    received = received_of(message(text="a secret wish"))
    received.carried = [replace(received)]
    assert "a secret wish" not in repr(received)
