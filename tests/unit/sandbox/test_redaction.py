"""No key gets through the sandbox's log, however it is written."""

import io
import logging
from collections.abc import Iterator

import pytest

from worker.sandbox.redaction import redact, sandbox_log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the sandbox's log writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    sandbox_log().addHandler(handler)
    yield stream
    sandbox_log().removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("GET /session?network_api_key=s%2Fcret HTTP/1.1", "network_api_key=*** HTTP/1.1"),
        ("?a=1&network_api_key=s/cret+1&b=2", "?a=1&network_api_key=***&b=2"),
        ("?network%5Fapi%5fkey=secret#x", "?network%5Fapi%5fkey=***#x"),
        ("x-network-api-key: secret", "x-network-api-key: ***"),
        ("{'X-Network-Api-Key': 'secret'}", "'***'"),
        ('"query":"network_api_key=secret"}', '"query":"network_api_key=***"}'),
    ],
)
def test_a_key_is_starred_out(text: str, redacted: str) -> None:
    assert redacted in redact(text)
    assert "cret" not in redact(text)


def test_what_is_no_key_stays() -> None:
    assert redact("GET /tasks?user_id=u&page=1") == "GET /tasks?user_id=u&page=1"


def test_arguments_and_tracebacks_are_redacted_too(written: io.StringIO) -> None:
    error = ValueError("at /session?network_api_key=secret")
    sandbox_log().error('"WebSocket %s"', "/session?network_api_key=secret", exc_info=error)
    assert '"WebSocket /session?network_api_key=***"' in written.getvalue()
    assert "ValueError: at /session?network_api_key=***" in written.getvalue()
    assert "secret" not in written.getvalue()


def test_asking_twice_filters_once() -> None:
    assert sandbox_log() is sandbox_log()
    assert len(sandbox_log().filters) == 1
