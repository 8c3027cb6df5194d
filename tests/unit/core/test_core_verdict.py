"""The verdict table of the design, row by row, and nothing besides."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import MANY
from worker.core.verdict import (
    COMPLETED,
    POSTPONED,
    TABLE,
    Kind,
    Row,
    Source,
    Verdict,
    judge,
    row_for,
)

CLOSES: dict[int, tuple[str, str]] = {
    1003: ("rejected", "protocol_error"),
    1007: ("rejected", "protocol_error"),
    1008: ("rejected", "policy_violation"),
    1009: ("rejected", "protocol_error"),
    1010: ("rejected", "protocol_error"),
    1011: ("interrupted", "internal_error"),
    1012: ("interrupted", "service_restart"),
    1013: ("interrupted", "try_again_later"),
    **dict.fromkeys(range(4000, 5000), ("rejected", "protocol_error")),
}
STATUSES: dict[int, tuple[str, str]] = {
    **dict.fromkeys(range(400, 500), ("rejected", "client_error")),
    **dict.fromkeys(range(500, 600), ("interrupted", "upstream_error")),
    400: ("rejected", "bad_request"),
    401: ("rejected", "unauthorized"),
    403: ("rejected", "unauthorized"),
    404: ("rejected", "not_found"),
    408: ("interrupted", "upstream_error"),
    422: ("rejected", "unprocessable"),
    425: ("interrupted", "upstream_error"),
    429: ("interrupted", "rate_limited"),
}


def meaning(verdict: Verdict) -> tuple[str, str]:
    """Kind and reason of a verdict, as words."""
    return str(verdict.kind), verdict.reason


def test_the_code_the_server_closed_with() -> None:
    codes = [*range(1000, 1016), 2999, 3000, 3999, *range(4000, 5000), 5000]
    expected = {code: CLOSES.get(code, ("interrupted", "connection_lost")) for code in codes}
    assert {code: meaning(judge(Source.SERVER_CLOSE, code)) for code in codes} == expected


def test_the_status_of_an_error_frame_or_response() -> None:
    codes = range(1000)
    expected = {code: STATUSES.get(code, ("interrupted", "upstream_error")) for code in codes}
    assert {code: meaning(judge(Source.STATUS, code)) for code in codes} == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source.STATUS, (400, 400, None)),
        (Source.SERVER_CLOSE, (400, None, 400)),
        (Source.LOCAL_CLOSE, (400, None, None)),
    ],
)
def test_a_code_is_kept_as_what_it_is(
    source: Source, expected: tuple[int, int | None, int | None]
) -> None:
    verdict = judge(source, 400)
    assert (verdict.code, verdict.status_code, verdict.close_code) == expected


@pytest.mark.parametrize("status", [None, -1, 9999])
def test_a_status_that_makes_no_sense_is_tried_again(status: int | None) -> None:
    assert meaning(judge(Source.STATUS, status)) == ("interrupted", "upstream_error")


@pytest.mark.parametrize(
    ("source", "code", "expected"),
    [
        (Source.FINAL, None, ("completed", "completed")),
        (Source.LOCAL_CLOSE, 1009, ("rejected", "reply_too_large")),
        (Source.LOCAL_CLOSE, 1011, ("interrupted", "connection_lost")),
        (Source.LOCAL_CLOSE, 1000, ("interrupted", "connection_lost")),
        (Source.LOCAL_CLOSE, 1008, ("interrupted", "connection_lost")),
        (Source.CONNECTION_LOST, None, ("interrupted", "connection_lost")),
        (Source.CONNECTION_FAILED, None, ("interrupted", "connection_failed")),
        (Source.CONNECT_TIMEOUT, None, ("interrupted", "timeout")),
        (Source.FIRST_TEXT_TIMEOUT, None, ("interrupted", "timeout")),
        (Source.IDLE_TIMEOUT, None, ("interrupted", "timeout")),
        (Source.GARBAGE_FRAME, None, ("interrupted", "garbage_frame")),
        (Source.BUG, None, ("rejected", "internal_worker_error")),
        (Source.DEADLINE, None, ("rejected", "deadline_exceeded")),
        (Source.INVALID_JOB, None, ("rejected", "invalid_job")),
        (Source.DELIVERY_LIMIT, None, ("rejected", "delivery_limit")),
        (Source.EXPIRED, None, ("rejected", "expired")),
        (Source.POISON, None, ("rejected", "poison_job")),
        (Source.NETWORK_OUT, None, ("postponed", "network_out")),
    ],
)
def test_evidence_that_is_neither_status_nor_the_servers_code(
    source: Source, code: int | None, expected: tuple[str, str]
) -> None:
    verdict = judge(source, code)
    assert meaning(verdict) == expected
    assert (verdict.status_code, verdict.close_code) == (None, None)


@MANY
@given(source=st.sampled_from(Source), code=st.none() | st.integers())
def test_every_evidence_has_a_row(source: Source, code: int | None) -> None:
    assert row_for(source, code).source is source


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source.name} {row.reason}")
def test_no_row_of_the_table_is_out_of_reach(row: Row) -> None:
    codes = [code for run in row.codes for code in run]
    assert row in {row_for(row.source, code) for code in (None, 100, 1000, *codes)}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source.name} {row.reason}")
def test_a_reason_is_a_word_of_a_routing_key(row: Row) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", row.reason)


def test_what_was_brought_along_is_kept() -> None:
    assert judge(Source.STATUS, 429, detail="slow", error=b"{}", retry_after=3.0) == Verdict(
        kind=Kind.INTERRUPTED,
        reason="rate_limited",
        source=Source.STATUS,
        code=429,
        status_code=429,
        close_code=None,
        detail="slow",
        error=b"{}",
        retry_after=3.0,
    )


def test_completed_is_the_verdict_of_a_final() -> None:
    assert judge(Source.FINAL) == COMPLETED


def test_postponed_is_the_verdict_of_a_network_that_is_out_and_of_nothing_else() -> None:
    assert judge(Source.NETWORK_OUT) == POSTPONED
    postponing = [row.source for row in TABLE if row.kind is Kind.POSTPONED]
    assert postponing == [Source.NETWORK_OUT]


def test_an_error_payload_is_not_shown_by_repr() -> None:
    assert "moderated words" not in repr(judge(Source.STATUS, 400, error=b"moderated words"))
