"""How often updates go out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.pace import EVERY, OFF, Pace, parse_pace


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("every", EVERY),
        ("off", OFF),
        ("1ms", Pace(0.001)),
        ("250ms", Pace(0.25)),
        ("999999ms", Pace(999.999)),
        ("0ms", None),
        ("00ms", None),
        ("0250ms", None),
        ("1000000ms", None),
        ("-1ms", None),
        ("1.5ms", None),
        ("250", None),
        ("250 ms", None),
        ("250MS", None),
        ("250ms\n", None),
        (" 250ms", None),
        ("2s", None),
        ("\u0662\u0665ms", None),
        ("", None),
        ("EVERY", None),
        ("on", None),
        (250, None),
        (True, None),
        (None, None),
        (b"every", None),
        (["every"], None),
    ],
)
def test_a_pace_is_one_of_three_forms(value: object, expected: Pace | None) -> None:
    assert parse_pace(value) == expected


@MANY
@given(milliseconds=st.integers(1, 999_999))
def test_any_interval_is_read_in_seconds(milliseconds: int) -> None:
    assert parse_pace(f"{milliseconds}ms") == Pace(milliseconds / 1000)


@MANY
@given(value=st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text())
def test_anything_else_is_no_pace(value: object) -> None:
    known = isinstance(value, str) and value.removesuffix("ms").isdecimal()
    assert parse_pace(value) is None or known or value in ("every", "off")


@pytest.mark.parametrize(
    ("pace", "last", "expected"),
    [
        (EVERY, None, float("-inf")),
        (EVERY, 100.0, 100.0),
        (Pace(0.25), None, float("-inf")),
        (Pace(0.25), 100.0, 100.25),
        (OFF, None, None),
        (OFF, 100.0, None),
    ],
)
def test_when_the_next_update_is_due(
    pace: Pace, last: float | None, expected: float | None
) -> None:
    assert pace.due(last) == expected


@MANY
@given(
    gaps=st.lists(st.floats(0, 2, allow_nan=False), max_size=30),
    interval=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_updates_are_never_closer_than_the_interval(gaps: list[float], interval: float) -> None:
    pace, now, sent = Pace(interval), 0.0, list[float]()
    for gap in gaps:
        now += gap
        due = pace.due(sent[-1] if sent else None)
        if due is not None and now >= due:
            sent.append(now)
    assert bool(sent) == bool(gaps)
    assert all(later - earlier >= interval - 1e-9 for earlier, later in pairwise(sent))
