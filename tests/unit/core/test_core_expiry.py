"""When a job expires, whatever its producer wrote and however late it comes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.envelope import Properties
from worker.core.expiry import expires_at

NOW = 1767268800.0
"""When it is received: 2026-01-01 12:00 UTC."""


def job(
    expiration: str | None = "60000", published: float | None = None, **headers: Any
) -> Properties:
    """A job that was published so many seconds before :data:`NOW`, if that is known."""
    stamp = None if published is None else datetime.fromtimestamp(NOW - published, UTC)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Properties(headers=named, expiration=expiration, timestamp=stamp)


@pytest.mark.parametrize(
    ("published", "left"),
    [
        (None, 60.0),
        (0.0, 60.0),
        (1.0, 59.0),
        (59.0, 1.0),
        (60.0, 0.0),
        (61.0, 60.0),
        (86400.0, 60.0),
        (-1.0, 60.0),
        (-86400.0, 60.0),
        (NOW, 60.0),
    ],
)
def test_it_is_counted_from_a_timestamp_that_can_be_true_else_from_the_receipt(
    published: float | None, left: float
) -> None:
    assert expires_at(job(published=published), NOW) == NOW + left


@pytest.mark.parametrize(
    ("expiration", "left"),
    [("0", 0.0), ("1", 0.001), ("1500", 1.5), ("060000", 60.0), ("9" * 12, 999999999.999)],
)
def test_an_expiration_is_in_milliseconds(expiration: str, left: float) -> None:
    assert expires_at(job(expiration), NOW) == NOW + left


@pytest.mark.parametrize(
    "expiration",
    [None, "", " ", "-1", "+1", "1.5", "1e3", "60s", "60000\n", "\uff19", "9" * 13, "never"],
)
def test_what_is_no_expiration_never_expires(expiration: str | None) -> None:
    assert expires_at(job(expiration, published=1.0), NOW) is None


@pytest.mark.parametrize("told", [1767268900, 1, 0, -5])
@pytest.mark.parametrize("expiration", [None, "60000", "never"])
def test_a_copy_expires_when_the_first_was_to(told: int, expiration: str | None) -> None:
    expires = expires_at(job(expiration, published=1.0, aui_expires_at=told), NOW)
    assert expires == told
    assert isinstance(expires, float)


@pytest.mark.parametrize("told", [True, False, None, "1767268900", 1767268900.0, [1]])
def test_a_header_that_is_no_time_is_not_heard(told: object) -> None:
    assert expires_at(job(aui_expires_at=told), NOW) == NOW + 60.0
    assert expires_at(job(None, aui_expires_at=told), NOW) is None


@MANY
@given(
    milliseconds=st.integers(0, 10**12 - 1),
    published=st.none() | st.integers(-(10**9), 10**9),
)
def test_no_job_has_expired_when_it_comes_nor_lasts_longer_than_it_was_to(
    milliseconds: int, published: float | None
) -> None:
    expires = expires_at(job(str(milliseconds), published), NOW)
    assert expires is not None
    assert NOW - 1e-6 <= expires <= NOW + milliseconds / 1000
