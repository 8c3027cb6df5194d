"""Advice: every way a job can end without an answer has been thought about."""

import pytest

from worker.client.advice import Advice, advice_for, advised
from worker.core.verdict import TABLE, Kind

ENDINGS = sorted({row.reason for row in TABLE if row.kind is not Kind.COMPLETED})


@pytest.mark.parametrize("reason", ENDINGS)
def test_every_reason_has_its_advice(reason: str) -> None:
    """A new row of the verdict table has to be given one."""
    assert advised(reason)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("bad_request", "rephrase"),
        ("unprocessable", "rephrase"),
        ("rate_limited", "try_later"),
        ("upstream_error", "try_later"),
        ("deadline_exceeded", "try_later"),
        ("expired", "try_later"),
        ("unauthorized", "operator"),
        ("invalid_job", "operator"),
        ("internal_worker_error", "operator"),
        ("what a newer worker says", "operator"),
    ],
)
def test_the_user_is_told_what_helps(reason: str, advice: Advice) -> None:
    """Other words, patience, or neither."""
    assert advice_for(reason) == advice
