"""The REST API: what AUI says is read tolerantly, and what it does not say is one exception."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.unit.aui.servers import (
    KEY,
    REDACTOR,
    Answer,
    RawServer,
    in_turn,
    never,
    raw_server,
    reset,
    response,
    saying,
)
from tests.unit.aui.talk import network_of, request_of
from worker.aui.network import Network
from worker.aui.rest import Rest
from worker.core.conversation import PAGE_SIZE
from worker.core.errors import AgentUnavailable
from worker.core.said import Said
from worker.core.verdict import Kind, Verdict
from worker.sandbox import DialectName, Sandbox

pytestmark = pytest.mark.anyio

Call = Callable[[Rest], Coroutine[Any, Any, object]]
CALLS: dict[str, Call] = {
    "create_task": lambda rest: rest.create_task("user_1"),
    "list_tasks": lambda rest: rest.list_tasks("user_1"),
    "task_messages": lambda rest: rest.task_messages("task_1"),
    "send_message": lambda rest: rest.send_message(b"{}", 5.0),
}


@asynccontextmanager
async def rest_of(network: Network, *, patience: float = 5.0) -> AsyncIterator[Rest]:
    """Return a client of a network."""
    rest = Rest(network, patience, patience, REDACTOR)
    try:
        yield rest
    finally:
        await rest.aclose()


@asynccontextmanager
async def served(answer: Answer, *, patience: float = 5.0) -> AsyncIterator[tuple[Rest, RawServer]]:
    """Return a client of a server that does nothing else."""
    async with (
        raw_server(answer) as server,
        rest_of(server.network(), patience=patience) as rest,
    ):
        yield rest, server


async def refused(rest: Rest, call: Call) -> Verdict:
    """Return the verdict on a call that fails."""
    with pytest.raises(AgentUnavailable) as caught:
        await call(rest)
    assert caught.value.__cause__ is None
    return caught.value.verdict


@pytest.fixture(params=["docs", "sdk"])
async def aui(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """Run a sandbox in each dialect."""
    dialect: DialectName = request.param
    async with Sandbox(dialect=dialect, word_delay=0) as running:
        yield running


async def test_a_task_is_created_and_is_what_aui_sent(aui: Sandbox) -> None:
    async with rest_of(network_of(aui)) as rest:
        task = await rest.create_task("user 1/é")
    assert aui.store.tasks[task.id].user_id == "user 1/é"
    assert json.loads(task.raw)["id"] == task.id


@pytest.mark.parametrize("origin", [None, "web-widget"])
async def test_a_task_tells_its_origin_where_one_is_set(origin: str | None) -> None:
    bodies: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(json.loads(await reader.readuntil(b"}")))
        await response(200, b'{"id":"t1"}')(reader, writer)

    async with raw_server(answer) as server:
        network = Network("n", KEY, server.network().base_url, task_origin_type=origin)
        async with rest_of(network) as rest:
            await rest.create_task("user_1")
    told = {} if origin is None else {"task_origin_type": origin}
    assert bodies == [{"user_id": "user_1", **told}]


async def test_tasks_come_page_by_page(aui: Sandbox) -> None:
    made = [aui.create_task("user_1").id for _ in range(PAGE_SIZE + 3)]
    async with rest_of(network_of(aui)) as rest:
        first = await rest.list_tasks("user_1")
        last = await rest.list_tasks("user_1", first.last)
    assert (len(first.tasks), first.total, first.last) == (PAGE_SIZE, PAGE_SIZE + 3, 2)
    assert {task.id for task in [*first.tasks, *last.tasks]} == set(made)


async def test_a_user_without_tasks_has_an_empty_page(aui: Sandbox) -> None:
    async with rest_of(network_of(aui)) as rest:
        page = await rest.list_tasks("nobody")
    assert (list(page.tasks), page.total, page.last) == ([], 0, 1)


async def test_a_list_that_does_not_tell_its_length_is_as_long_as_it_is() -> None:
    async with served(response(200, b'{"tasks":[{"id":"t1"}],"total":null,"size":0}')) as (rest, _):
        page = await rest.list_tasks("user_1")
    assert ([task.id for task in page.tasks], page.total, page.size) == (["t1"], 1, PAGE_SIZE)


async def test_an_answer_comes_whole_and_stands_in_the_history(aui: Sandbox) -> None:
    task = aui.create_task("user_1")
    async with rest_of(network_of(aui)) as rest:
        answer = await rest.send_message(request_of(task.id, "a microwave"), 5.0)
        history = await rest.task_messages(task.id)
    assert [(said.text, said.by_user) for said in history] == [
        ("a microwave", True),
        (answer.text, False),
    ]
    assert (history[1].id, history[1].at) == (answer.id, answer.at)
    assert json.loads(history[1].raw) == json.loads(answer.raw)


async def test_a_history_is_read_though_messages_lack_what_they_should_have() -> None:
    body = b'[{"text":null},{"sender":"user"},7,{"sender":{"type":"user"},"text":"hi","x":1}]'
    async with served(response(200, body)) as (rest, _):
        history = await rest.task_messages("t")
    assert history == [
        Said("", by_user=False, raw=b'{"text":null}'),
        Said("", by_user=False, raw=b'{"sender":"user"}'),
        Said("hi", by_user=True, raw=b'{"sender":{"type":"user"},"text":"hi","x":1}'),
    ]


async def test_the_key_travels_in_the_header_alone() -> None:
    async with served(response(401)) as (rest, server):
        for call in CALLS.values():
            await refused(rest, call)
    assert len(server.heads) == len(CALLS)
    for head in server.heads:
        request_line, headers = head.decode().split("\r\n", 1)
        assert f"x-network-api-key: {KEY}\r\n" in headers
        assert "API_KEY" not in request_line
        assert urlsplit(request_line.split()[1]).path.startswith("/api/api/v1/external/")


async def test_a_task_id_cannot_lead_to_another_page() -> None:
    async with served(response(200, b"[]")) as (rest, server):
        for task_id in ("../tasks", "a/b?c#d", "é"):
            await rest.task_messages(task_id)
    assert len(server.heads) == 3
    for head in server.heads:
        path = head.split()[1]
        assert path.startswith(b"/api/api/v1/external/tasks/")
        assert path.endswith(b"/messages")
        assert path.count(b"/") == 7


ERRORS = [
    (401, b'{"detail":"Not authenticated"}', Kind.REJECTED, "unauthorized", "Not authenticated"),
    (401, b'{"status_code":401,"errors":["No"]}', Kind.REJECTED, "unauthorized", "No"),
    (
        400,
        b'{"status_code":400,"description":"d","message":"flagged","extra_data":{}}',
        Kind.REJECTED,
        "bad_request",
        "flagged",
    ),
    (
        422,
        b'{"detail":[{"loc":["body","user_id"],"msg":"is missing"}]}',
        Kind.REJECTED,
        "unprocessable",
        "body.user_id: is missing",
    ),
    (404, b"", Kind.REJECTED, "not_found", "HTTP 404"),
    (429, b"slow down", Kind.INTERRUPTED, "rate_limited", "HTTP 429"),
    (503, b"<html>", Kind.INTERRUPTED, "upstream_error", "HTTP 503"),
    (302, b"", Kind.INTERRUPTED, "upstream_error", "HTTP 302"),
]


async def test_an_error_in_any_shape_is_a_verdict_with_auis_words() -> None:
    answers = in_turn(*(response(status, body) for status, body, *_ in ERRORS))
    async with served(answers) as (rest, _):
        verdicts = [await refused(rest, CALLS["create_task"]) for _ in ERRORS]
    told = [(v.status_code, v.kind, v.reason, v.detail) for v in verdicts]
    assert told == [(status, *expected) for status, _, *expected in ERRORS]


async def test_a_refusal_of_the_sandbox_is_understood_in_both_dialects(aui: Sandbox) -> None:
    async with rest_of(Network("default", "wrong", aui.base_url)) as rest:
        assert (await refused(rest, CALLS["create_task"])).reason == "unauthorized"
    async with rest_of(network_of(aui)) as rest:
        assert (await refused(rest, CALLS["task_messages"])).reason == "not_found"
        aui.fault(rest={"status": 429, "retry_after": 7})
        verdict = await refused(rest, CALLS["list_tasks"])
    assert (verdict.reason, verdict.retry_after) == ("rate_limited", 7.0)


async def test_a_probe_asks_for_the_tasks_of_nobody() -> None:
    async with served(response(200, b'{"tasks":[]}')) as (rest, server):
        assert (await rest.probe()).kind is Kind.COMPLETED
    target = urlsplit(server.heads[0].split()[1].decode())
    assert target.path == "/api/api/v1/external/tasks"
    assert parse_qs(target.query)["user_id"] == ["aui-worker-probe"]
    assert parse_qs(target.query)["page"] == ["1"]


async def test_a_page_that_is_not_auis_does_not_answer_a_probe() -> None:
    async with served(response(200, b"<html>")) as (rest, _):
        assert (await rest.probe()).reason == "garbage_frame"


async def test_a_redirect_is_not_followed() -> None:
    async with raw_server(response(200)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/"
        async with served(response(307, b"", location)) as (rest, _):
            await refused(rest, CALLS["create_task"])
    assert elsewhere.heads == []


async def test_no_answer_in_time_is_a_timeout() -> None:
    async with served(never, patience=0.05) as (rest, _):
        verdicts = [await refused(rest, call) for call in CALLS.values()]
    assert {(v.kind, v.reason) for v in verdicts} == {(Kind.INTERRUPTED, "timeout")}


async def test_an_answer_that_drips_in_is_not_awaited_without_end() -> None:
    async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with served(dripping, patience=0.1) as (rest, _), asyncio.timeout(5.0):
        verdict = await refused(rest, CALLS["task_messages"])
    assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "timeout")


async def test_a_connection_that_fails_is_an_interruption() -> None:
    cut = saying(b"HTTP/1.1 200 OK\r\nContent-Le")
    answers = [reset, saying(b""), saying(b"220 SMTP\r\n"), cut]
    async with served(in_turn(*answers)) as (rest, _):
        verdicts = [await refused(rest, CALLS["task_messages"]) for _ in answers]
    assert {(v.kind, v.reason) for v in verdicts} == {(Kind.INTERRUPTED, "connection_failed")}


async def test_a_body_that_ends_too_soon_is_an_interruption() -> None:
    async with served(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[")) as (rest, _):
        verdict = await refused(rest, CALLS["task_messages"])
    assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "connection_failed")


async def test_a_body_that_is_not_packed_as_it_says_is_an_interruption() -> None:
    answer = response(200, b"this is no gzip", "Content-Encoding: gzip")
    async with served(answer) as (rest, _):
        verdict = await refused(rest, CALLS["task_messages"])
    assert verdict.kind is Kind.INTERRUPTED


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_body_that_is_not_what_was_asked_for_is_an_interruption(call: Call) -> None:
    bodies = [b"", b"<html>", b"\xff", b"[" * 100_000, b"7", b'{"id":""}']
    async with served(in_turn(*(response(200, body) for body in bodies))) as (rest, _):
        verdicts = [await refused(rest, call) for _ in bodies]
    assert {(v.kind, v.reason) for v in verdicts} == {(Kind.INTERRUPTED, "garbage_frame")}


async def test_one_task_without_an_id_makes_the_list_unreadable() -> None:
    async with served(response(200, b'{"tasks":[{"id":"t1"},{"name":"x"}]}')) as (rest, _):
        verdict = await refused(rest, CALLS["list_tasks"])
    assert "without a usable id" in verdict.detail


async def test_a_body_beyond_all_measure_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.aui.rest.MAX_BODY_BYTES", 1000)

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"[" * 1000)
            await writer.drain()

    async with served(endless) as (rest, _), asyncio.timeout(5.0):
        verdict = await refused(rest, CALLS["task_messages"])
    assert (verdict.kind, verdict.reason) == (Kind.REJECTED, "reply_too_large")


@pytest.mark.parametrize("stumble", [AttributeError("getpeername"), RuntimeError("closed")])
async def test_what_the_library_stumbles_over_is_a_connection_that_failed(
    stumble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks a connection for its socket that was lost as soon as it was made."""

    async def handle(*_: object) -> httpx.Response:
        raise stumble

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    rest = Rest(Network("default", KEY, "http://127.0.0.1:9/api"), 5.0, 5.0, REDACTOR)
    for call in CALLS.values():
        with pytest.raises(AgentUnavailable) as caught:
            await call(rest)
        verdict = caught.value.verdict
        assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "connection_failed")
    await rest.aclose()
