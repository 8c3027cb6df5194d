"""One request to a server of the test's own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from worker.testing.requests import request


@contextmanager
def answering(said: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one request with these bytes; lend the URL, and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            link, _ = server.accept()
            with link:
                asked.append(link.recv(65_536))
                link.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        thread.join()


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}") as (url, asked):
        assert request(f"{url}/page?a=b") == (503, {})
    assert asked[0].startswith(b"GET /page?a=b HTTP/1.1\r\n")


def test_something_else_is_no_answer() -> None:
    with answering(b"AMQP\x00\x00\x09\x01") as (url, _), pytest.raises(ConnectionError):
        request(url)


def test_an_answer_must_be_json() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (url, _),
        pytest.raises(ValueError, match="Expecting value"),
    ):
        request(url)
