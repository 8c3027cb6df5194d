"""Whatever AUI and the broker do, a job ends once: one terminal reply, after all others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conformance.script import (
    Bug,
    Close,
    Lose,
    Refuse,
    Silence,
    Stale,
    Step,
    failing,
    final,
    updating,
)
from tests.unit.relay.fleet import CUT, LOSE, MANY, RECALL, Queue
from tests.unit.relay.flow import Flow, World, from_user, message
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.reply import Reply
from worker.core.verdict import COMPLETED, Source, Verdict, judge

pytestmark = pytest.mark.anyio

codes = st.sampled_from([1000, 1001, 1003, 1005, 1006, 1008, 1009, 1011, 1012, 1013, 4000])
statuses = st.sampled_from([302, 400, 401, 403, 404, 408, 418, 422, 425, 429, 500, 503])
sources = st.sampled_from([one for one in Source if one not in (Source.STATUS, Source.FINAL)])
steps: st.SearchStrategy[Step] = st.one_of(
    st.text(max_size=5).map(updating),
    st.text(max_size=5).map(final),
    statuses.map(failing),
    st.binary(max_size=20),
    st.builds(Close, codes, st.text(max_size=5)),
    st.builds(Lose, sources, st.none() | codes),
    st.builds(Silence, st.floats(0, 400)),
    st.just(Bug(ZeroDivisionError("oops"))),
)
scripts = st.lists(steps, max_size=6) | st.builds(
    lambda first: [first],
    st.builds(Refuse, statuses, st.none() | st.floats(0, 1e9)) | st.builds(Stale, st.booleans()),
)
refusals = st.lists(statuses.map(lambda status: judge(Source.STATUS, status)), max_size=6)
paces = st.sampled_from(["every", "off", "250ms", "nonsense"])
jobs = st.lists(
    st.builds(
        lambda kind, number, pace, again: _job(kind, number, {h.UPDATES: pace}, again),
        st.sampled_from(["task", "user", "stray"]),
        st.integers(1, 3),
        paces,
        st.booleans(),
    ),
    max_size=5,
)
mishaps = st.dictionaries(
    st.integers(1, 40), st.sampled_from([CUT, LOSE, RECALL]), min_size=1, max_size=4
)


def _job(kind: str, number: int, headers: dict[str, str], redelivered: bool) -> Envelope:
    if kind == "user":
        return from_user(f"user_{number}", headers=headers, redelivered=redelivered)
    key = "not a slot" if kind == "stray" else None
    return message(f"task_{number}", headers=headers, redelivered=redelivered, key=key)


class Desk:
    """A worker and its queue, through all that becomes of them."""

    def __init__(self, happening: Mapping[int, str]) -> None:
        world = World()
        for number in (1, 2, 3):
            world.agent.histories[f"task_{number}"] = []
        self.flow = Flow(attempts=3, world=world)
        self.queue = Queue(world, happening)
        self.queue.receive = self.flow.intake.receive

    async def work_off(self, envelopes: Sequence[Envelope]) -> None:
        """Work until every job is acked; a network that went out is well again at once."""
        for number, envelope in enumerate(envelopes):
            properties = replace(envelope.properties, message_id=f"job_{number}")
            self.queue.put(replace(envelope, properties=properties))
        for _ in range(MANY):
            if not self.queue.jobs:
                return
            self.queue.hand_out()
            await self.flow.idle()
            for _ in range(2):
                self.flow.gate.door("default").probed(COMPLETED)
        raise AssertionError("the queue never became empty")

    def told(self, job_id: str) -> list[Reply]:
        """Return every reply about a job."""
        published = self.flow.publisher.published
        return [reply for reply in published if reply.address.job_id == job_id]

    def check(self, jobs: int) -> None:
        """Each job ended once, was forwarded, or both where an ack was lost; nothing is left."""
        moved = {copy.properties.message_id for copy in self.flow.copies.forwards}
        kept = {copy.properties.message_id for copy in self.flow.copies.letters}
        for job_id in (f"job_{number}" for number in range(jobs)):
            replies = self.told(job_id)
            endings = [reply for reply in replies if reply.terminal]
            assert endings or job_id in moved
            if endings:
                # What is no job has no id to be known by: it is kept again where an ack was lost.
                invalid = endings[0].extra.get(h.REASON) == "invalid_job"
                assert len(endings) == 1 or invalid
                assert endings == replies[-len(endings) :]
                assert (endings[0].kind == "failed") == (job_id in kept)
            _check_numbers(replies)
        assert self.flow.agent.open == 0
        assert "settled twice" not in self.flow.journal.entries
        assert self.flow.journal.entries.count("ack") == jobs
        assert self.queue.channel.claimed == set()


@given(jobs, st.lists(scripts, max_size=12), refusals)
async def test_each_job_ends_once_after_all_else_and_is_then_acked(
    envelopes: list[Envelope], played: list[list[Step]], unavailable: list[Verdict]
) -> None:
    desk = Desk({})
    desk.flow.agent.play(*played)
    desk.flow.agent.unavailable.extend(unavailable)
    await desk.work_off(envelopes)
    desk.check(len(envelopes))
    for delivery in desk.queue.deliveries:
        assert delivery.acked or delivery.lost


@given(jobs, st.lists(scripts, max_size=12), refusals, mishaps)
@example([message()], [[final("Hi")]], [], {5: RECALL})
async def test_whatever_becomes_of_its_deliveries_each_job_ends_once_and_none_is_forgotten(
    envelopes: list[Envelope],
    played: list[list[Step]],
    unavailable: list[Verdict],
    happening: dict[int, str],
) -> None:
    desk = Desk(happening)
    desk.flow.agent.play(*played)
    desk.flow.agent.unavailable.extend(unavailable)
    await desk.work_off(envelopes)
    desk.check(len(envelopes))


def _check_numbers(replies: Sequence[Reply]) -> None:
    """Attempts rise one by one, and within each seq counts from 1 without a gap."""
    by_attempt: dict[int, list[int]] = defaultdict(list)
    for reply in replies:
        by_attempt[reply.attempt].append(reply.seq)
    assert list(by_attempt) == sorted(by_attempt)
    for seqs in by_attempt.values():
        assert seqs == list(range(1, len(seqs) + 1))
