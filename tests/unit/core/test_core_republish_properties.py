"""No header of any producer keeps a copy of its job from being published."""

import json
from typing import Any

import pamqp.encode
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.core.amqp_tables import any_tables, names, plain_tables
from tests.unit.core.builders import MANY, SOME, texts
from worker.core.body import cut
from worker.core.envelope import Properties
from worker.core.republish import AttemptRecord, Letter, copied, letter_headers
from worker.core.verdict import Source, judge

KEPT_BYTES = 48 * 1024
ADDED_BYTES = 64 * 1024

broker_names = st.sampled_from(["x-death", "x-first-death-queue", "CC", "BCC", "x-", "x-a"]) | (
    names.map(lambda name: f"x-{name}")
)
producer_tables = st.builds(
    lambda table, own, name: {**table, name: own}, any_tables, names | st.integers(), broker_names
)
large = st.integers(0, 40_000).map(lambda size: "é" * size)
many = st.integers(0, 6_000).map(lambda count: {f"x-{number}": "" for number in range(count)})
endless = st.builds(lambda part, times: part * times, st.text(min_size=1), st.integers(0, 20_000))


def written(headers: Any) -> int:
    """The bytes of a header table in a frame; fails where the client library would."""
    return len(pamqp.encode.field_table(dict(headers)))


@MANY
@given(headers=producer_tables, user_id=st.none() | names, expiration=st.none() | st.just("60000"))
@example(headers={"double": 1e300}, user_id=None, expiration=None)
@example(headers={"unsigned": 2**64 - 1}, user_id=None, expiration=None)
def test_a_copy_can_be_written_and_holds_nothing_of_the_brokers(
    headers: dict[str, Any], user_id: str | None, expiration: str | None
) -> None:
    """Whatever came in goes out, without what would close the channel or duplicate the copy."""
    properties = Properties(headers=headers, user_id=user_id, expiration=expiration)
    copy = copied(properties, {"aui-attempt-base": 64})
    assert written(copy.headers) <= KEPT_BYTES + 1024
    assert {"user_id", "CC", "BCC"}.isdisjoint(copy.headers.keys() - headers.keys())
    assert not [name for name in copy.headers if name in ("CC", "BCC") or name.startswith("x-")]
    assert (copy.user_id, copy.expiration) == (None, None)
    assert copy.headers["aui-attempt-base"] == 64
    assert copy.headers.get("aui-orig-user_id", user_id) == user_id


@MANY
@given(headers=plain_tables)
def test_what_can_go_out_as_it_is_stays_as_it_is(headers: dict[str, Any]) -> None:
    """A copy changes only the names that must not stay."""
    moved = {name for name in headers if name.startswith("x-") or name in ("CC", "BCC")}
    expected = {name: value for name, value in headers.items() if name not in moved}
    copy = copied(Properties(headers=headers), {})
    kept = {name: value for name, value in copy.headers.items() if name in expected}
    assert repr(kept) == repr({name: expected[name] for name in kept})
    assert kept.keys() == expected.keys()


@SOME
@given(headers=many, text=large, name=names)
def test_a_copy_of_any_size_fits_into_a_frame(
    headers: dict[str, Any], text: str, name: str
) -> None:
    """What is kept is bounded in bytes as they are written, names and all."""
    copy = copied(Properties(headers={**headers, name: text, "list": [text, [], {}]}), {})
    assert written(copy.headers) <= KEPT_BYTES


@SOME
@given(text=endless, detail=endless, error=endless, attempts=st.integers(0, 80), worker=texts)
def test_what_a_letter_adds_stays_below_64_kib(
    text: str, detail: str, error: str, attempts: int, worker: str
) -> None:
    """Whatever AUI said, and however often, the letter can be published and read."""
    payload = error.encode("utf-8", "replace")
    verdict = judge(Source.STATUS, 500, detail=detail, error=payload if attempts % 2 else None)
    records = [
        AttemptRecord("at", number, "waiting", "timeout", detail) for number in range(attempts)
    ]
    letter = Letter(verdict, records, text, "at", worker[:100])
    headers = letter_headers(letter)
    assert written(headers) < ADDED_BYTES
    rows = json.loads(headers["aui-dead-attempts"])
    assert [row["attempt"] for row in rows] == list(range(attempts))[attempts - len(rows) :]
    assert bool(rows) == bool(attempts)


@MANY
@given(text=st.text(), size=st.integers(0, 40))
def test_a_cut_text_is_the_longest_that_fits(text: str, size: int) -> None:
    """It starts the text, is at most so long, and one more character would not fit."""
    whole = text.encode("utf-8", "replace").decode()
    short = cut(text, size)
    assert whole.startswith(short)
    assert len(short.encode()) <= size
    assert short == whole or len(whole[: len(short) + 1].encode()) > size
