"""Whatever the broker hands over gets a lane, and never an exception."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.script import PATIENCE, Gate
from tests.fakes import FakeDelivery, Journal, ManualClock
from tests.unit.relay.flow import PARTITIONS, again, from_user, let_run, message
from worker.core import headers as h
from worker.core.envelope import Envelope, Properties
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.job_properties import JobRules
from worker.core.slots import slot_of
from worker.core.topology import DELIVERY_LIMIT
from worker.relay.intake import POISON_COUNT, Intake
from worker.relay.lanes import Lanes
from worker.relay.received import Received

pytestmark = pytest.mark.anyio


class Desk:
    """An intake before lanes that keep what they are given, and hold the tasks in `stuck`."""

    def __init__(self, stuck: str = "") -> None:
        self.received: list[Received] = []
        self.journal = Journal()
        self.clock = ManualClock()
        self.gate = Gate().shut()
        self._stuck = stuck
        self.lanes: Lanes[Received] = Lanes(self.work)
        ids = (f"made_up_{number}" for number in range(1, 100))
        self.intake = Intake(self.lanes, JobRules(), PARTITIONS, self.clock.port, lambda: next(ids))

    async def work(self, received: Received, _: Sequence[Received]) -> None:
        """Keep what came."""
        self.received.append(received)
        if received.address.job_id == self._stuck:
            await self.gate.passed()
        self.journal.add(f"{received.address.job_id} done")

    async def take(self, envelope: Envelope) -> Received:
        """Take one delivery, and return it as it came to the lane."""
        self.intake.receive(FakeDelivery(envelope, at=self.clock.seconds))
        assert await self.lanes.drain(PATIENCE)
        return self.received[-1]


def unreadable(body: bytes, **properties: Any) -> Envelope:
    """Return something that is no job."""
    return Envelope("default", body, "00", Properties(**properties))


async def test_a_job_is_decoded() -> None:
    received = await Desk().take(message())
    assert received.job is not None
    assert (received.problem, received.on_hub, received.base) == (None, True, 0)
    assert received.address.task_id == "task_1"


async def test_a_job_without_an_id_gets_one() -> None:
    received = await Desk().take(message(job_id=None))
    assert received.address.job_id == "made_up_1"


async def test_earlier_deliveries_and_copies_have_their_attempts() -> None:
    received = await Desk().take(message(redelivered=True, headers={h.ATTEMPT_BASE: 3}))
    assert received.base == ATTEMPTS_PER_DELIVERY + 3


async def test_it_is_noted_when_a_job_came() -> None:
    desk = Desk()
    desk.clock.seconds = 1234.5
    for envelope in (message(), unreadable(b"")):
        assert (await desk.take(envelope)).at == 1234.5


async def test_a_job_that_never_expires_says_so() -> None:
    assert (await Desk().take(message())).expires_at is None


@pytest.mark.parametrize(
    ("headers", "expiration", "seconds"), [({}, "2500", 2.5), ({h.EXPIRES_AT: 7}, None, None)]
)
async def test_when_a_job_expires_is_counted_from_its_receipt_unless_a_copy_says_when(
    headers: dict[str, Any], expiration: str | None, seconds: float | None
) -> None:
    desk = Desk()
    envelope = message(headers=headers)
    properties = replace(envelope.properties, expiration=expiration)
    received = await desk.take(replace(envelope, properties=properties))
    now = desk.clock.utc().timestamp()
    assert received.expires_at == (7.0 if seconds is None else now + seconds)


@pytest.mark.parametrize(
    ("count", "redelivered", "poison"),
    [
        (POISON_COUNT, True, True),
        (POISON_COUNT + 5, True, True),
        (POISON_COUNT - 1, True, False),
        (POISON_COUNT, False, False),
    ],
)
async def test_a_job_that_was_handed_out_ten_times_is_poison_unless_only_a_header_says_so(
    count: int, redelivered: bool, poison: bool
) -> None:
    envelope = replace(again(message(), count), redelivered=redelivered)
    received = await Desk().take(envelope)
    assert received.job is not None
    assert received.on_hub
    assert (received.problem is not None) is poison
    if received.problem is not None:
        assert received.problem.reason == "poison_job"
        assert received.problem.detail.startswith(f"delivered {count + 1} times")


async def test_a_job_that_was_only_beside_the_one_worked_on_is_no_poison() -> None:
    desk, delivery = Desk(), FakeDelivery(again(message(), POISON_COUNT))
    delivery.first = False
    desk.intake.receive(delivery)
    assert await desk.lanes.drain(PATIENCE)
    assert desk.received[0].problem is None


async def test_a_poison_job_keeps_its_place_in_its_task() -> None:
    desk = Desk(stuck="first")
    for envelope in (message(job_id="first"), again(message(job_id="second"), POISON_COUNT)):
        desk.intake.receive(FakeDelivery(envelope))
    await desk.gate.reached()
    await let_run()
    assert len(desk.received) == 1
    desk.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == ["first done", "second done"]


async def test_what_is_no_job_is_a_problem_for_its_reply_to_alone() -> None:
    envelope = replace(
        unreadable(b'{"task_id":"task_1"}', message_id="job_1", reply_to="sub.me"),
        redelivered=True,
    )
    received = await Desk().take(envelope)
    assert received.job is None
    assert received.problem is not None
    assert (received.problem.reason, received.on_hub) == ("invalid_job", False)
    assert received.problem.detail.startswith("text: ")
    assert (received.address.task_id, received.address.reply_to) == ("task_1", "sub.me")
    assert received.base == ATTEMPTS_PER_DELIVERY


async def test_a_bug_while_decoding_is_a_problem_too(caplog: pytest.LogCaptureFixture) -> None:
    broken = Properties(headers={h.UPDATES: Unprintable()})
    received = await Desk().take(replace(message(), properties=broken))
    assert received.problem is not None
    assert received.problem.reason == "internal_worker_error"
    assert received.problem.detail == "ZeroDivisionError"
    assert [record.message for record in caplog.records] == ["a bug while decoding a job"]


class Unprintable:
    """A header value that breaks whoever looks at it."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


async def test_jobs_of_a_task_share_a_lane() -> None:
    desk = Desk(stuck="first")
    for job_id in ("first", "second"):
        desk.intake.receive(FakeDelivery(message(job_id=job_id)))
    await desk.gate.reached()
    await let_run()
    assert len(desk.received) == 1
    desk.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == ["first done", "second done"]


@pytest.mark.parametrize(
    "other",
    [
        message("task_2", job_id="other"),
        replace(message(job_id="other"), network="acme"),
        from_user("task_1", job_id="other"),
        message(key="task_1", job_id="other"),
        message(key="zz", job_id="other"),
        unreadable(b"", message_id="other"),
        unreadable(b'{"task_id":"task_1"}', message_id="other"),
    ],
    ids=["task", "network", "user", "forward", "stray", "empty", "invalid"],
)
async def test_no_other_job_waits_for_a_task_that_is_stuck(other: Envelope) -> None:
    desk = Desk(stuck="first")
    desk.intake.receive(FakeDelivery(message(job_id="first")))
    await desk.gate.reached()
    desk.intake.receive(FakeDelivery(other))
    await desk.journal.until("other done")
    desk.gate.open()
    assert await desk.lanes.drain(PATIENCE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (from_user(job_id="first"), from_user(job_id="second")),
        (message(key="x", job_id="first"), message(key="x", job_id="second")),
    ],
    ids=["user", "forward"],
)
async def test_jobs_of_a_user_and_jobs_on_their_way_keep_their_order_too(
    first: Envelope, second: Envelope
) -> None:
    desk = Desk(stuck="first")
    for envelope in (first, second):
        desk.intake.receive(FakeDelivery(envelope))
    await desk.gate.reached()
    await let_run()
    assert len(desk.received) == 1
    desk.gate.open()
    assert await desk.lanes.drain(PATIENCE)
    assert desk.journal.entries == ["first done", "second done"]


@pytest.mark.parametrize(
    ("why", "reason"), [("expired", "expired"), ("delivery_limit", "delivery_limit")]
)
async def test_a_job_that_the_broker_gave_up_is_no_job_any_more_but_the_hub_is_told(
    why: str, reason: str
) -> None:
    death = {"queue": "aui.jobs.acme.p03", "reason": why, "count": 1}
    desk = Desk()
    desk.intake.receive_dropped(FakeDelivery(message(headers={h.DEATHS: [death]})))
    assert await desk.lanes.drain(PATIENCE)
    (received,) = desk.received
    assert received.job is None
    assert received.problem is not None
    assert (received.problem.reason, received.on_hub) == (reason, True)
    assert received.address.network == "acme"
    assert received.base == ATTEMPTS_PER_DELIVERY * (DELIVERY_LIMIT + 1)


async def test_a_dropped_job_that_is_no_job_gets_its_letter_all_the_same() -> None:
    desk = Desk()
    desk.intake.receive_dropped(FakeDelivery(unreadable(b"\xff", headers={h.ATTEMPT_BASE: "x"})))
    assert await desk.lanes.drain(PATIENCE)
    assert desk.received[0].problem is not None
    assert desk.received[0].problem.reason == "delivery_limit"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
bodies = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["task_id", "user_id", "text", "context", "x"]), json_values
).map(lambda body: json.dumps(body).encode())
names = [h.CHANNEL, h.UPDATES, h.CONVERSATION, h.ATTEMPT_BASE, h.MAYBE_SENT, h.DEATHS]
headers = st.dictionaries(
    st.sampled_from([*names, h.DELIVERY_COUNT, h.TRACEPARENT]), json_values | st.binary()
)
anything = st.builds(
    Envelope,
    network=st.just("default"),
    body=bodies,
    routing_key=st.text(max_size=3) | st.just(slot_of("task_1")),
    properties=st.builds(
        Properties,
        headers=headers,
        type=st.none() | st.text(),
        message_id=st.none() | st.text(),
        reply_to=st.none() | st.text() | st.just("sub.me"),
        correlation_id=st.none() | st.text(),
    ),
    redelivered=st.booleans(),
)


@settings(deadline=None)  # a busy machine is no failure
@given(anything, st.booleans())
async def test_whatever_comes_is_taken_and_is_either_a_job_or_a_problem(
    envelope: Envelope, dropped: bool
) -> None:
    desk = Desk()
    receive = desk.intake.receive_dropped if dropped else desk.intake.receive
    receive(FakeDelivery(envelope))
    assert await desk.lanes.drain(PATIENCE)
    (received,) = desk.received
    poison = received.problem is not None and received.problem.reason == "poison_job"
    assert poison or (received.job is None) is not (received.problem is None)
    assert received.address.job_id
