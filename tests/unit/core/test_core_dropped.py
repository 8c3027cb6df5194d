"""Jobs the broker gave up: where from, why, and with which numbers their replies go on."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.builders import SOME, envelope, words
from worker.core.dropped import base_of_dropped, dropped_from
from worker.core.job import attempt_base
from worker.core.topology import partition_queue


def death(queue: object, reason: object, **more: object) -> dict[str, Any]:
    """Headers of a message that was dead-lettered."""
    return {"x-death": [{"queue": queue, "reason": reason, "count": 1, **more}]}


@pytest.mark.parametrize(
    ("headers", "reason", "detail"),
    [
        (death("aui.jobs.p03", "expired"), "expired", "expired in aui.jobs.p03"),
        (
            death("aui.jobs.acme.p03", "delivery_limit"),
            "delivery_limit",
            "dropped by the broker from aui.jobs.acme.p03: delivery_limit",
        ),
        (
            death("aui.jobs.p03", "rejected"),
            "delivery_limit",
            "dropped by the broker from aui.jobs.p03: rejected",
        ),
        ({}, "delivery_limit", "dropped by the broker from a queue: no reason given"),
    ],
)
def test_a_letter_says_why_the_broker_dropped_it(
    headers: dict[str, Any], reason: str, detail: str
) -> None:
    _, verdict = dropped_from(envelope(headers=headers))
    assert (str(verdict.kind), verdict.reason, verdict.detail) == ("rejected", reason, detail)


@SOME
@given(network=words.filter(lambda word: word != "unslotted"), partition=st.integers(0, 255))
@example(network="default", partition=3)
def test_a_dropped_job_is_of_the_network_of_its_queue(network: str, partition: int) -> None:
    message = envelope(headers=death(partition_queue(network, partition), "expired"))
    dropped, _ = dropped_from(message)
    assert dropped.network == network
    assert (dropped.body, dropped.properties) == (message.body, message.properties)


def test_the_first_death_is_the_last_that_happened() -> None:
    headers = {
        "x-death": [
            {"queue": "aui.jobs.acme.p00", "reason": "delivery_limit"},
            {"queue": "aui.jobs.p01", "reason": "expired"},
        ]
    }
    dropped, verdict = dropped_from(envelope(headers=headers))
    assert (dropped.network, verdict.reason) == ("acme", "delivery_limit")


@pytest.mark.parametrize(
    "deaths", [None, [], "x", 7, {}, [None], ["x"], [{}], [{"queue": "", "reason": ""}]]
)
def test_a_death_certificate_that_says_nothing_leaves_the_job_as_it_is(deaths: object) -> None:
    message = envelope(headers={"x-death": deaths})
    dropped, verdict = dropped_from(message)
    assert dropped == message
    assert verdict.reason == "delivery_limit"


@pytest.mark.parametrize(
    ("headers", "redelivered", "expected"),
    [
        ({}, False, 64 * 21),
        ({}, True, 64 * 21),
        ({"aui-attempt-base": 128}, True, 128 + 64 * 21),
        ({"aui-attempt-base": "broken"}, False, 64 * 21),
        ({"aui-attempt-base": -1}, True, 64 * 21),
    ],
)
def test_a_dropped_job_may_have_used_up_every_delivery(
    headers: dict[str, Any], redelivered: bool, expected: int
) -> None:
    assert base_of_dropped(envelope(headers=headers, redelivered=redelivered)) == expected


@pytest.mark.parametrize("seen", range(22))
@pytest.mark.parametrize("base", [0, 5])
def test_no_number_of_an_earlier_delivery_comes_again(base: int, seen: int) -> None:
    """The limit of 20 lets a job out 21 times: counted 0 to 20."""
    counted = {"aui-attempt-base": base, "x-delivery-count": seen}
    last = attempt_base(envelope(headers={"aui-attempt-base": base, "x-delivery-count": 20}))
    assert base_of_dropped(envelope(headers=counted)) >= last + 64
