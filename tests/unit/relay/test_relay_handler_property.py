"""Whatever AUI does, a job ends once: one terminal reply, after all others, and then one ack."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.script import (
    Bug,
    Close,
    Lose,
    Refuse,
    Silence,
    Step,
    failing,
    final,
    updating,
)
from tests.fakes import FakeDelivery
from tests.unit.relay.flow import Flow, from_user, message
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.reply import Reply
from worker.core.verdict import Source, Verdict, judge

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
    lambda refusal: [refusal], st.builds(Refuse, statuses, st.none() | st.floats(0, 1e9))
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


def _job(kind: str, number: int, headers: dict[str, str], redelivered: bool) -> Envelope:
    if kind == "user":
        return from_user(f"user_{number}", headers=headers, redelivered=redelivered)
    key = "not a slot" if kind == "stray" else None
    return message(f"task_{number}", headers=headers, redelivered=redelivered, key=key)


@settings(deadline=None)  # a busy machine is no failure
@given(jobs, st.lists(scripts, max_size=12), refusals)
async def test_each_delivery_is_acked_once_and_each_job_ends_once_after_all_else(
    envelopes: list[Envelope], played: list[list[Step]], unavailable: list[Verdict]
) -> None:
    flow = Flow(attempts=3)
    flow.agent.play(*played)
    flow.agent.unavailable.extend(unavailable)
    deliveries = []
    for number, envelope in enumerate(envelopes):
        named = replace(envelope.properties, message_id=f"job_{number}")
        delivery = Watched(flow, replace(envelope, properties=named))
        flow.intake.receive(delivery)
        deliveries.append(delivery)
    await flow.idle()

    assert all(delivery.acked for delivery in deliveries)
    assert flow.journal.entries.count("ack") == len(deliveries)
    assert "settled twice" not in flow.journal.entries
    moved = {copy.properties.message_id for copy in flow.copies.forwards}
    kept = {copy.properties.message_id for copy in flow.copies.letters}
    for delivery in deliveries:
        replies = delivery.told()
        assert delivery.told_before_ack == replies
        endings = [reply for reply in replies if reply.terminal]
        if delivery.job_id in moved:
            assert endings == []
            assert delivery.job_id not in kept
        else:
            assert endings == replies[-1:]
            assert (replies[-1].kind == "failed") == (delivery.job_id in kept)
        _check_numbers(replies)
    assert flow.agent.open == 0


class Watched(FakeDelivery):
    """A delivery that remembers what its subscribers knew when it was acked."""

    def __init__(self, flow: Flow, envelope: Envelope) -> None:
        super().__init__(envelope, flow.journal)
        self._flow = flow
        self.job_id = envelope.properties.message_id
        self.told_before_ack: list[Reply] = []

    def told(self) -> list[Reply]:
        """Return every reply about this job."""
        published = self._flow.publisher.published
        return [reply for reply in published if reply.address.job_id == self.job_id]

    async def ack(self) -> None:
        """Remember, then ack."""
        self.told_before_ack = self.told()
        await super().ack()


def _check_numbers(replies: Sequence[Reply]) -> None:
    """Attempts rise one by one, and within each seq counts from 1 without a gap."""
    by_attempt: dict[int, list[int]] = defaultdict(list)
    for reply in replies:
        by_attempt[reply.attempt].append(reply.seq)
    assert list(by_attempt) == sorted(by_attempt)
    for seqs in by_attempt.values():
        assert seqs == list(range(1, len(seqs) + 1))
