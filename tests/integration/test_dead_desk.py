"""Work on letters in several goes, on a real RabbitMQ."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest
from harness import Bench

from tests.unit.dead.letters import letter
from worker.amqp.link import linked
from worker.core.envelope import Envelope
from worker.core.job_properties import JobRules
from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange
from worker.dead import run
from worker.dead.again import Again, again
from worker.dead.desk import Desk
from worker.dead.head import Head, head_of
from worker.dead.run import BEHIND, GONE, Outcome, batches
from worker.dead.wanted import Wanted, chosen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("lines")]

TASKS = ("t-1", "t-2", "t-3")


@pytest.fixture
async def desk(amqp_url: str, at: Bench) -> AsyncIterator[Desk]:
    """Lend a desk whose every look at the clock takes longer than a go may."""
    hours = count(step=3600)
    async with linked("test", amqp_url) as link:
        desk = Desk(await link.session(), lambda: float(next(hours)))
        yield desk
        await desk.drop(await found(desk, at), Outcome())


async def found(desk: Desk, at: Bench) -> list[Head]:
    return chosen(await desk.look(), Wanted(networks=[at.network]))


async def write(desk: Desk, at: Bench, number: int) -> None:
    """Write a letter; the later, the longer ago its job died."""
    task = TASKS[number % 3]
    body = b'{"task_id":"%s","text":"%d"}' % (task.encode(), number)
    when = f"2026-01-01T00:00:{59 - number:02}.000+00:00"
    one = letter(f"{at.network}-{number}", body, at=when, network=at.network, task_id=task)
    assert await desk.bring(one) is None


async def test_conversations_keep_their_order_over_many_goes(
    at: Bench, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few letters are kept in memory, and a go is over after one of them; the queue is shuffled."""
    monkeypatch.setattr(run, "HELD_LETTERS", 5)
    for number in range(12):
        await write(desk, at, number)
    sent = [await at.listen(jobs_exchange(at.network), slot_of(task)) for task in TASKS]
    outcome, told = Outcome(), count()

    def tell() -> None:
        next(told)

    heads = await found(desk, at)
    await desk.replay(heads, lambda one: again(one, JobRules()), outcome, told=tell)

    assert (outcome.done, outcome.left, next(told)) == (12, [], 12)
    assert await found(desk, at) == []
    for place, inbox in enumerate(sent):
        jobs = await inbox.until(lambda messages: len(messages) == 4)
        numbers = [int(str(job.message_id).removeprefix(f"{at.network}-")) for job in jobs]
        assert numbers == [9 + place, 6 + place, 3 + place, place]


async def test_what_went_meanwhile_is_told_and_holds_nothing_up(at: Bench, desk: Desk) -> None:
    for number in (0, 3, 6):
        await write(desk, at, number)
    heads = await found(desk, at)
    await desk.drop(heads[:1], Outcome())
    outcome = Outcome()
    await desk.replay(heads, lambda one: again(one, JobRules()), outcome)

    assert outcome.done == 2
    assert [(head.job_id, why) for head, why in outcome.left] == [(heads[0].job_id, GONE)]


async def test_what_the_broker_refuses_leaves_what_is_behind_it_too(at: Bench, desk: Desk) -> None:
    """One of a conversation and the next of it stay; another conversation's goes."""
    for number in (6, 3, 1, 0):
        await write(desk, at, number)

    def job_of(one: Envelope) -> Again:
        job = again(one, JobRules())
        refused = one.properties.message_id == f"{at.network}-3"
        return replace(job, exchange="aui.jobs.nowhere") if refused else job

    outcome = Outcome()
    await desk.replay(await found(desk, at), job_of, outcome)

    assert outcome.done == 2
    left = {head.job_id.removeprefix(f"{at.network}-"): why for head, why in outcome.left}
    assert left == {
        "3": "there is no exchange aui.jobs.nowhere: no worker serves that network",
        "0": BEHIND,
    }


def test_a_batch_is_bounded_in_letters_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HELD_LETTERS", 3)
    monkeypatch.setattr(run, "HELD_BYTES", 100)
    one = head_of(letter())
    heads = [replace(one, size=size) for size in (10, 10, 10, 10, 90, 10, 200, 10)]

    sizes = [[head.size for head in batch] for batch in batches(heads)]
    assert sizes == [[10, 10, 10], [10, 90], [10], [200], [10]]
