"""Header tables as an AMQP 0-9-1 client may hand them over."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=140)
times = st.datetimes(datetime(1970, 1, 1), datetime(2105, 1, 1), timezones=st.just(UTC))
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(width=32)
    | names
    | times
    | st.binary(max_size=20).map(bytearray)
)
"""Values that go out again as they are."""

odd = (
    st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=20)
    | st.text(max_size=10)
    | st.decimals(allow_nan=False, allow_infinity=False).map(Decimal)
)
"""Values that come in and would not go out: wider numbers, bytes that are no text."""


def tables(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw header tables of such values, nested ones included."""
    nested = st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(names, nested, max_size=6)


plain_tables = tables(plain)
any_tables = tables(plain | odd)
