"""AUI's timestamps, in each way it writes them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY, json_values
from worker.core.moment import seconds_of

NOON = 1767268800.0
"""2026-01-01 12:00 UTC."""


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T12:00:00.000Z", NOON),
        ("2026-01-01T12:00:00.250Z", NOON + 0.25),
        ("2026-01-01T12:00:00.984000", NOON + 0.984),
        ("2026-01-01 12:00:00.500000", NOON + 0.5),
        ("2026-01-01 12:00:00", NOON),
        ("2026-01-01T12:00:00+00:00", NOON),
        ("2026-01-01T14:00:00+02:00", NOON),
        ("2026-01-01T07:00:00-05:00", NOON),
        ("2026-01-01T12:00", NOON),
        (" 2026-01-01T12:00:00Z\n", NOON),
        ("2026-01-01T12:00:00.123456789Z", NOON + 0.123456),
        ("1970-01-01T00:00:00Z", 0.0),
        ("1969-12-31T23:59:59Z", -1.0),
        ("0001-01-01T00:00:00+23:59", -62135683140.0),
        ("9999-12-31T23:59:59-23:59", 253402387139.0),
    ],
)
def test_a_timestamp_is_read_however_it_is_written(written: str, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Live where the clocks show another time."""
    monkeypatch.setenv("TZ", "XYZ+5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_far_from_utc")
def test_a_timestamp_without_a_zone_is_utc_wherever_the_worker_is() -> None:
    assert datetime(2026, 1, 1, 12).timestamp() != NOON
    assert seconds_of("2026-01-01 12:00:00") == seconds_of("2026-01-01T12:00:00Z") == NOON


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "Z",
        "now",
        "12:00:00",
        "2026-13-01T12:00:00Z",
        "2026-01-01T12:60:00Z",
        "2026-01-01T12:00:00Z and more",
        "1767268800",
        "\ud800",
        1767268800,
        1767268800.0,
        True,
        None,
        b"2026-01-01T12:00:00Z",
        ["2026-01-01T12:00:00Z"],
        {},
    ],
    ids=repr,
)
def test_what_is_no_timestamp_tells_no_time(written: object) -> None:
    assert seconds_of(written) is None


@MANY
@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    separator=st.sampled_from(["T", " "]),
    zone=st.sampled_from(["", "Z", "+00:00"]),
)
def test_all_ways_of_writing_a_moment_mean_the_same(
    moment: datetime, separator: str, zone: str
) -> None:
    expected = moment.replace(tzinfo=UTC).timestamp()
    assert seconds_of(moment.isoformat(separator) + zone) == expected


@MANY
@given(written=json_values | st.from_regex(r"[0-9]{4}-?[0-9W]{2,3}[-T :0-9.,+Z]*"))
def test_nothing_that_aui_may_write_is_a_mistake(written: object) -> None:
    assert isinstance(seconds_of(written), float | None)
