"""Rates as people write them."""

import pytest

from worker.dead.pace import interval_of


@pytest.mark.parametrize(("rate", "seconds"), [("5", 0.2), ("5/s", 0.2), ("30/m", 2.0), (" 1 ", 1)])
def test_a_rate_is_seconds_between_two(rate: str, seconds: float) -> None:
    assert interval_of(rate) == seconds


@pytest.mark.parametrize("rate", ["", "0", "fast", "-1", "5/h", "1.5", "5/"])
def test_anything_else_is_no_rate(rate: str) -> None:
    with pytest.raises(ValueError, match="must be like"):
        interval_of(rate)
