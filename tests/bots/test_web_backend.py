"""The web backend's requests and its stream of server-sent events, without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from harness import Bench

from examples.web.rooms import Room
from tests.bots.living import Bot, living

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def backend(amqp_url: str, network: str) -> AsyncIterator[Bot]:
    env = {"AMQP_URL": amqp_url, "AUI_NETWORK": network, "PORT": "0"}
    async with living("web.backend", env) as running:
        yield running


@pytest.fixture
async def http(backend: Bot) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=backend.url, timeout=30) as client:
        yield client


@pytest.fixture
async def task_id(http: httpx.AsyncClient) -> str:
    created = await http.post("/tasks", json={"user_id": "a visitor"})
    assert created.status_code == 201
    assert created.json()["welcome"]
    return str(created.json()["task_id"])


async def answered(http: httpx.AsyncClient, at: Bench, task_id: str, job_id: str) -> None:
    """Ask something; returns when the answer is out."""
    hub = await at.hub(f"{at.network}.web.{task_id}.final")
    sent = await http.post("/messages", json={"task_id": task_id, "id": job_id, "text": "a fridge"})
    assert (sent.status_code, sent.json()) == (202, {"id": job_id})
    await hub.ended(job_id)


async def told(
    http: httpx.AsyncClient, task_id: str, enough: str, last_event_id: str = ""
) -> list[dict[str, str]]:
    """Return the events of a stream, up to the one with a word in it."""
    events: list[dict[str, str]] = [{}]
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with (
        asyncio.timeout(30),
        http.stream("GET", f"/tasks/{task_id}/events", headers=headers) as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        async for line in stream.aiter_lines():
            if not line and enough in events[-1].get("data", ""):
                return events
            if not line:
                events.append({})
            else:
                name, _, value = line.partition(": ")
                events[-1][name] = value
    raise AssertionError("the stream ended")


async def test_an_answer_that_nobody_looked_at_is_told_to_who_looks_later(
    http: httpx.AsyncClient, at: Bench, task_id: str
) -> None:
    await answered(http, at, task_id, "job-1")

    first, *_, final = await told(http, task_id, '"final"')

    assert (first["event"], json.loads(first["data"])) == ("jobs", ["job-1"])
    body: dict[str, Any] = json.loads(final["data"])
    assert final["id"] == f"job-1:{body['attempt']}.{body['seq']}"
    assert {"id", "attempt", "seq", "kind", "text", "options", "suggestions"} == set(body)


async def test_who_comes_back_is_told_only_what_is_newer(
    http: httpx.AsyncClient, at: Bench, task_id: str
) -> None:
    await answered(http, at, task_id, "job-1")
    *_, seen = await told(http, task_id, '"final"')
    await answered(http, at, task_id, "job-2")

    jobs, *newer = await told(http, task_id, '"final"', last_event_id=seen["id"])

    assert json.loads(jobs["data"]) == ["job-1", "job-2"]
    assert {json.loads(one["data"])["id"] for one in newer} == {"job-2"}


async def test_a_message_sent_twice_is_one_job(
    http: httpx.AsyncClient, at: Bench, task_id: str
) -> None:
    await answered(http, at, task_id, "job-1")
    hub = await at.hub(f"{at.network}.web.{task_id}.final")

    for _ in range(2):
        await http.post("/messages", json={"task_id": task_id, "id": "job-1", "text": "a fridge"})
    await hub.until(lambda messages: len(messages) == 2)

    assert hub.messages[0].body == hub.messages[1].body


async def test_while_nothing_happens_whoever_looks_is_told_so_now_and_then() -> None:
    """Proxies cut off what is silent."""
    room = Room()

    news = room.news({}, pause=0.0)

    assert [await anext(news), await anext(news)] == [None, None]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/messages", {"task_id": "a.b", "text": "hi"}, "task_id"),
        ("/messages", {"task_id": "t", "text": 1}, "text"),
        ("/messages", {"task_id": "t", "text": "hi", "id": "x" * 129}, "job_id"),
        ("/messages", ["hi"], "body"),
        ("/tasks", {}, "user_id"),
    ],
)
async def test_what_is_wrong_with_a_request_is_named(
    http: httpx.AsyncClient, path: str, body: Any, field: str
) -> None:
    refused = await http.post(path, json=body)

    assert refused.status_code == 422
    assert field in refused.json()["error"]
