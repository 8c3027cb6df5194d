"""What the libraries raise becomes evidence, without the key."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError, ProxyError
from websockets.frames import Close

from tests.unit.aui.servers import KEY, REDACTOR
from worker.aui.evidence import described, of_response, take_close
from worker.core.turn import Turn
from worker.core.verdict import Kind, Source, Verdict

NOW = 1_780_000_000.0


def closed(
    rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None
) -> tuple[Verdict, Turn]:
    """Return the verdict on a close."""
    turn = Turn("task")
    take_close(turn, ConnectionClosedError(rcvd, sent, rcvd_then_sent), REDACTOR)
    assert turn.verdict is not None
    return turn.verdict, turn


def answered(status: int, body: bytes = b"", retry_after: str | None = None) -> Verdict:
    """Return the verdict on an HTTP response."""
    return of_response(status, body, retry_after, NOW, REDACTOR)


def test_a_close_that_aui_sent_first_is_auis_word() -> None:
    verdict, _ = closed(Close(1011, "oops"), Close(1011, "oops"), True)
    assert (verdict.source, verdict.close_code) == (Source.SERVER_CLOSE, 1011)
    assert verdict.reason == "internal_error"
    assert "oops" in verdict.detail


def test_a_close_of_aui_that_was_not_answered_is_auis_word_too() -> None:
    verdict, _ = closed(Close(1008, ""), None, None)
    assert (verdict.source, verdict.reason) == (Source.SERVER_CLOSE, "policy_violation")


@pytest.mark.parametrize("echo", [None, Close(1011, "keepalive ping timeout")])
def test_a_1011_that_the_client_library_sent_is_not_auis(echo: Close | None) -> None:
    sent = Close(1011, "keepalive ping timeout")
    verdict, _ = closed(echo, sent, False if echo else None)
    assert (verdict.source, verdict.close_code) == (Source.LOCAL_CLOSE, None)
    assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "connection_lost")


def test_a_1009_that_the_client_library_sent_means_a_reply_too_large() -> None:
    verdict, _ = closed(None, Close(1009, "over size limit"), None)
    assert (verdict.kind, verdict.reason) == (Kind.REJECTED, "reply_too_large")


def test_a_connection_without_a_close_frame_was_lost() -> None:
    verdict, _ = closed(None, None, None)
    assert (verdict.source, verdict.kind) == (Source.CONNECTION_LOST, Kind.INTERRUPTED)


@pytest.mark.parametrize("key", [KEY, quote(KEY, safe="")])
def test_a_key_in_a_close_reason_is_taken_out(key: str) -> None:
    verdict, turn = closed(Close(1008, f"bad key {key}"), None, None)
    assert "[redacted]" in verdict.detail
    assert key not in repr(verdict)
    assert key not in str([getattr(turn, name) for name in Turn.__slots__])


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, Kind.REJECTED, "unauthorized"),
        (404, Kind.REJECTED, "not_found"),
        (429, Kind.INTERRUPTED, "rate_limited"),
        (503, Kind.INTERRUPTED, "upstream_error"),
        (302, Kind.INTERRUPTED, "upstream_error"),
    ],
)
def test_an_http_status_is_judged_by_the_table(status: int, kind: Kind, reason: str) -> None:
    verdict = answered(status)
    assert (verdict.kind, verdict.reason, verdict.status_code) == (kind, reason, status)
    assert verdict.error is not None


@pytest.mark.parametrize("key", [KEY, quote(KEY, safe="")])
def test_a_key_that_aui_echoes_is_taken_out(key: str) -> None:
    body = f'{{"detail":"network_api_key={key} is wrong"}}'.encode()
    verdict = answered(401, body)
    assert verdict.error is not None
    assert "is wrong" in verdict.detail
    for text in (verdict.detail, verdict.error.decode(), repr(verdict)):
        assert key not in text


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("-3", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert answered(429, retry_after=header).retry_after == seconds


@pytest.fixture
def far_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move this process to another time zone."""
    monkeypatch.setenv("TZ", "PST8")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_west")
def test_a_date_without_a_zone_is_in_utc_wherever_the_worker_runs() -> None:
    header = time.asctime(time.gmtime(NOW + 90))
    assert answered(429, retry_after=header).retry_after == 90.0


numbers = st.integers(-(10**6), 10**6).map(str)
dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Sun"]),
    numbers,
    st.sampled_from(["Jan", "Feb", "Foo"]),
    numbers,
    *[numbers] * 3,
    st.sampled_from(["GMT", "+0000", "-0000", "-9999", "+999999999999999", ""]),
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=30) | dates | st.floats().map(str))
def test_a_retry_after_is_a_time_to_wait_or_nothing_whatever_it_says(header: str) -> None:
    seconds = answered(503, retry_after=header).retry_after
    assert seconds is None or seconds >= 0


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(100, 999), st.binary(max_size=50))
def test_any_response_has_a_verdict_and_a_payload(status: int, body: bytes) -> None:
    verdict = answered(status, body)
    assert verdict.kind is not Kind.COMPLETED
    assert verdict.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no route"), "OSError: no route"),
        (OSError(), "OSError"),
        (ProxyError("407 from http://user:password@proxy"), "ProxyError"),
        (httpx.ProxyError("407 from http://user:password@proxy"), "ProxyError"),
        (ValueError(f"bad URL ?k={quote(KEY, safe='')}"), "ValueError: bad URL ?k=[redacted]"),
    ],
)
def test_an_exception_is_told_in_one_line(error: Exception, words: str) -> None:
    assert described(error, REDACTOR) == words


def test_an_exception_without_words_is_told_by_its_cause() -> None:
    error = OSError()
    error.__cause__ = ValueError(f"the key {KEY}")
    assert described(error, REDACTOR) == "OSError: the key [redacted]"
