"""Each page says what it is to say, whatever the state of the worker."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from worker.http import Exposition, Health, application, serving

pytestmark = pytest.mark.anyio

PAGES = ["/livez", "/startupz", "/readyz", "/metrics"]


@asynccontextmanager
async def worker(
    *reasons: str, started: bool = True, exposition: Exposition | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the pages of a worker in that state."""
    health = Health(lambda: started, lambda: reasons)
    async with (
        serving(application(health, exposition), "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        yield http


@pytest.mark.parametrize(
    ("page", "reasons", "started", "status", "told"),
    [
        ("/livez", [], True, 200, {"live": True}),
        ("/livez", ["stopping"], False, 200, {"live": True}),
        ("/startupz", ["stopping"], True, 200, {"started": True}),
        ("/startupz", ["starting"], False, 503, {"started": False}),
        ("/readyz", [], True, 200, {"ready": True, "reasons": []}),
        ("/readyz", ["a", "b"], True, 503, {"ready": False, "reasons": ["a", "b"]}),
    ],
)
async def test_a_page_tells_one_thing(
    page: str, reasons: list[str], started: bool, status: int, told: dict[str, Any]
) -> None:
    """The status for a probe, the body for a person."""
    async with worker(*reasons, started=started) as http:
        response = await http.get(page)

    assert (response.status_code, response.json()) == (status, told)
    assert response.headers["cache-control"] == "no-store"


async def test_metrics_are_given_as_they_are_now() -> None:
    """Bytes and content type are the exposition's own, asked for each time."""
    kind = "text/plain; version=1.0.0; charset=utf-8"
    scrapes = iter([b"aui_ready 0\n", b"aui_ready 1\n"])
    async with worker(exposition=lambda: (next(scrapes), kind)) as http:
        first, second = await http.get("/metrics"), await http.get("/metrics")

    assert (first.content, second.content) == (b"aui_ready 0\n", b"aui_ready 1\n")
    assert first.headers["content-type"] == kind
    assert first.status_code == 200


async def test_metrics_that_are_not_exposed_say_how_to() -> None:
    """A scraper finds a 404, a person the setting."""
    async with worker() as http:
        response = await http.get("/metrics")

    assert response.status_code == 404
    assert "OTEL_METRICS_EXPORTER" in response.json()["error"]


async def test_a_page_that_fails_is_a_500_and_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, with its traceback; the other pages do not mind."""

    def broken() -> tuple[bytes, str]:
        raise RuntimeError("no metrics today")

    async with worker(exposition=broken) as http:
        failed, live = await http.get("/metrics"), await http.get("/livez")

    assert (failed.status_code, live.status_code) == (500, 200)
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "no metrics today" in str(record.exc_info)


@pytest.mark.parametrize("page", PAGES)
async def test_head_is_get_without_a_body(page: str) -> None:
    """Status and headers, the length included."""
    async with worker("a reason", exposition=lambda: (b"x" * 100, "text/plain")) as http:
        head, get = await http.head(page), await http.get(page)

    assert head.content == b""
    assert (head.status_code, dict(head.headers)) == (get.status_code, dict(get.headers))


@pytest.mark.parametrize(
    ("method", "page", "status"),
    [("GET", "/", 404), ("GET", "/readyz/", 404), ("POST", "/readyz", 405)],
)
async def test_what_is_not_there_says_what_is(method: str, page: str, status: int) -> None:
    """In JSON, without a redirect."""
    async with worker() as http:
        response = await http.request(method, page)

    assert response.status_code == status
    assert response.json()["pages"] == PAGES
    assert status != 405 or set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
