"""The REST API does what AUI's Messages and Tasks pages describe, and what a directive orders."""

import asyncio
import re
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.client import KEY, MICROWAVE, until
from worker.sandbox import DialectName, Sandbox

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("dialect", ["docs", "sdk"])
CALLS = [
    ("POST", "/tasks"),
    ("GET", "/tasks"),
    ("GET", "/tasks/68e78d0dc5a4b19a030d03d6/messages"),
    ("POST", "/message"),
]


async def said(http: httpx.AsyncClient, sandbox: Sandbox, text: str) -> httpx.Response:
    """The response to a message in a fresh task."""
    task = sandbox.create_task("user_123")
    return await http.post("/message", json={"task_id": task.id, "text": text})


def senders(sandbox: Sandbox) -> list[str]:
    """Who spoke, in every task."""
    return [line.sender for task in sandbox.store.tasks.values() for line in task.messages]


async def test_a_task_is_created_as_documented(http: httpx.AsyncClient) -> None:
    sent = {"user_id": "user_123", "task_origin_type": "web-widget"}
    answered = await http.post("/tasks", json=sent)
    assert answered.status_code == 200
    task = answered.json()
    assert re.fullmatch("[0-9a-f]{24}", task.pop("id"))
    assert task == {
        "user_id": "user_123",
        "title": "New Conversation",
        "welcome_message": (
            "Hi! I'm here to help you find the perfect product. What are you looking for today?"
        ),
        "followup_suggestions": [
            "Show me your best sellers",
            "I need help choosing a product",
            "What's on sale right now?",
        ],
    }


@pytest.mark.parametrize("newest_first", [True, False])
async def test_tasks_are_listed_in_pages_of_their_user(newest_first: bool) -> None:
    async with Sandbox(api_key=KEY, newest_first=newest_first) as sandbox:
        ids = [sandbox.create_task("u").id for _ in range(12)]
        sandbox.create_task("other")
        if newest_first:
            ids.reverse()
        async with httpx.AsyncClient(headers={"x-network-api-key": KEY}) as http:
            url = f"{sandbox.base_url}/api/v1/external/tasks"
            pages = [
                (await http.get(url, params={"user_id": "u", **query})).json()
                for query in ({}, {"page": 2}, {"page": 3}, {"page": 2, "size": 5})
            ]
    assert [[task["id"] for task in page["tasks"]] for page in pages] == [
        ids[:10],
        ids[10:],
        [],
        ids[5:10],
    ]
    assert [(page["total"], page["page"], page["size"]) for page in pages] == [
        (12, 1, 10),
        (12, 2, 10),
        (12, 3, 10),
        (12, 2, 5),
    ]


@BOTH
async def test_a_message_is_answered_and_both_are_in_the_history(
    http: httpx.AsyncClient, sandbox: Sandbox, dialect: DialectName
) -> None:
    task = sandbox.create_task("user_123")
    context = {"url": "https://example.com", "lead_details": {"budget_range": "300-500"}}
    sent = {"task_id": task.id, "text": MICROWAVE, "context": context, "x": 1}
    answered = await http.post("/message?is_external_api=true", json=sent)
    assert answered.status_code == 200
    answer = answered.json()
    assert answer["text"].startswith("I found several built-in microwaves")
    assert len(answer["options" if dialect == "docs" else "cards"]) == 3
    assert answer["sender"]["type"] == "agent"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["created_at"])
    history = (await http.get(f"/tasks/{task.id}/messages")).json()
    assert [line["text"] for line in history] == [MICROWAVE, answer["text"]]
    assert history[0].keys() == answer.keys()
    assert history[1] == answer
    assert sandbox.store.user_messages(task.id)[0].request == sent


async def test_every_response_tells_the_date(http: httpx.AsyncClient) -> None:
    answered = await http.get("/tasks?user_id=u")
    assert parsedate_to_datetime(answered.headers["date"]).tzinfo is not None


@BOTH
@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("headers", [{}, {"x-network-api-key": "wrong"}])
async def test_a_missing_and_a_wrong_key_are_unauthorized(
    sandbox: Sandbox, dialect: DialectName, method: str, path: str, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient() as http:
        url = f"{sandbox.base_url}/api/v1/external{path}"
        answered = await http.request(method, url, headers=headers)
    assert answered.status_code == 401
    assert answered.json() == (
        {"detail": "Not authenticated"}
        if dialect == "docs"
        else {"status_code": 401, "errors": ["Unauthorized"]}
    )


async def test_the_key_may_be_in_the_query(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/api/v1/external/tasks"
    async with httpx.AsyncClient() as http:
        answered = await http.get(url, params={"user_id": "u", "network_api_key": KEY})
    assert answered.status_code == 200


@BOTH
@pytest.mark.parametrize(
    ("method", "path", "body", "loc"),
    [
        ("POST", "/tasks", {}, ["body", "user_id"]),
        ("GET", "/tasks", None, ["query", "user_id"]),
        ("POST", "/message", {"text": "hi"}, ["body", "task_id"]),
    ],
)
async def test_a_missing_field_has_the_documents_body(
    http: httpx.AsyncClient, dialect: DialectName, method: str, path: str, body: Any, loc: list[str]
) -> None:
    answered = await http.request(method, path, json=body)
    errors = [{"loc": loc, "msg": "field required", "type": "value_error.missing"}]
    assert answered.status_code == 422
    assert answered.json() == (
        {"detail": errors} if dialect == "docs" else {"status_code": 422, "errors": errors}
    )


@BOTH
async def test_an_unknown_task_is_not_found(http: httpx.AsyncClient, dialect: DialectName) -> None:
    sent = await http.post("/message?a=1", json={"task_id": "nope", "text": "hi"})
    asked = await http.get("/tasks/nope/messages")
    assert [sent.status_code, asked.status_code] == [404, 404]
    assert sent.json() == {
        "status_code": 404,
        "description": "Not Found",
        "message": "Task not found",
        "extra_data": {
            "method": "POST",
            "path": "/api/v1/external/message",
            "query": "a=1",
            "task_id": "nope",
        },
    }


@BOTH
@pytest.mark.parametrize("text", ["!nonsense", "!cut after=x", "!cut before=1"])
async def test_a_directive_nobody_can_follow_is_explained(
    http: httpx.AsyncClient, sandbox: Sandbox, dialect: DialectName, text: str
) -> None:
    answered = await said(http, sandbox, text)
    assert answered.status_code == 422
    body = answered.json()
    [error] = body["detail"] if dialect == "docs" else body["errors"]
    assert (error["loc"], error["type"]) == (["body", "text"], "value_error.directive")
    assert text.split()[0] in error["msg"]
    assert senders(sandbox) == []


@BOTH
@pytest.mark.parametrize(
    ("text", "status", "retry_after"),
    [
        ("!1011", 500, None),
        ("!1008", 400, None),
        ("!1008 status=403", 403, None),
        ("!400", 400, None),
        ("!error status=503", 503, None),
        ("!error status=429 retry_after=2", 429, "2"),
        ("!close code=1011 answered=no", 500, None),
    ],
)
async def test_a_failing_scenario_has_its_status_and_leaves_only_the_question(
    http: httpx.AsyncClient, sandbox: Sandbox, text: str, status: int, retry_after: str | None
) -> None:
    answered = await said(http, sandbox, text)
    assert (answered.status_code, answered.json()["status_code"]) == (status, status)
    assert answered.headers.get("retry-after") == retry_after
    assert senders(sandbox) == ["user"]


async def test_a_failure_may_be_answered_in_the_history_alone(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    assert (await said(http, sandbox, "!1011 answered=yes")).status_code == 500
    assert senders(sandbox) == ["user", "agent"]


async def test_401_in_a_scenario_has_the_dialects_body(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    answered = await said(http, sandbox, "!error status=401")
    assert (answered.status_code, answered.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("text", ["!cut", "!reset", "!close code=1000"])
async def test_a_lost_connection_still_leaves_the_answer(
    http: httpx.AsyncClient, sandbox: Sandbox, text: str
) -> None:
    with pytest.raises(httpx.TransportError):
        await said(http, sandbox, text)
    await until(lambda: senders(sandbox) == ["user", "agent"])


async def test_a_client_that_hangs_up_still_leaves_the_answer(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    call = asyncio.create_task(said(http, sandbox, "!stall seconds=0.2 | a microwave"))
    await until(lambda: sandbox.state()["running_turns"] == 1)
    call.cancel()
    await until(lambda: senders(sandbox) == ["user", "agent"])


async def test_silence_lasts_until_the_client_hangs_up(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await http.post(
            "/message",
            json={"task_id": sandbox.create_task("u").id, "text": "!silence"},
            timeout=httpx.Timeout(10, read=0.2),
        )
    assert senders(sandbox) == ["user"]


@pytest.mark.parametrize(
    "text",
    ["!stall seconds=0.01", "!unknown", "!rewrite", "!final-only", "!lag", "!1011 times=1"],
)
async def test_what_makes_no_difference_to_rest_is_answered(
    http: httpx.AsyncClient, sandbox: Sandbox, text: str
) -> None:
    task = sandbox.create_task("u")
    sent = {"task_id": task.id, "text": f"{text} | {MICROWAVE}"}
    answered = await http.post("/message", json=sent)
    if "times" in text:
        assert answered.status_code == 500
        answered = await http.post("/message", json=sent)
    assert answered.status_code == 200
    assert "built-in microwaves" in answered.json()["text"]


async def test_a_huge_answer_is_huge(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    assert len((await said(http, sandbox, "!huge bytes=300000")).json()["text"]) == 300_000


async def test_a_load_is_answered_with_its_whole_text(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    answered = await said(http, sandbox, "!load updates=10 interval=0 chunk=5")
    assert len(answered.json()["text"]) == 50


async def test_garbage_is_no_json(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    answered = await said(http, sandbox, "!garbage")
    assert answered.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answered.json()
    assert senders(sandbox) == ["user"]


async def test_a_lagging_history_shows_nothing_yet(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("u")
    answered = await http.post("/message", json={"task_id": task.id, "text": "!lag seconds=999"})
    assert answered.status_code == 200
    assert (await http.get(f"/tasks/{task.id}/messages")).json() == []
    assert len(sandbox.store.user_messages(task.id)) == 1


@pytest.mark.parametrize("times", [1, 2])
async def test_a_standing_fault_comes_before_everything_else(
    http: httpx.AsyncClient, sandbox: Sandbox, times: int
) -> None:
    sandbox.fault(rest={"status": 503, "retry_after": 1.5, "times": times})
    for _ in range(times):
        answered = await http.get("/tasks", headers={"x-network-api-key": "wrong"})
        assert (answered.status_code, answered.headers["retry-after"]) == (503, "1.5")
        assert answered.json()["description"] == "Service Unavailable"
    assert (await http.get("/tasks?user_id=u")).status_code == 200


async def test_an_agent_that_is_down_fails_a_message_as_the_directive_does(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    sandbox.fault(answer={"times": 1})
    failed = await said(http, sandbox, MICROWAVE)
    directed = await said(http, sandbox, "!1011")
    assert (failed.status_code, failed.json()) == (500, directed.json())
    assert senders(sandbox) == ["user", "user"]
    assert (await said(http, sandbox, MICROWAVE)).status_code == 200


async def test_an_agent_that_is_down_otherwise_hangs_up(
    http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    sandbox.fault(answer={"code": 1012})
    with pytest.raises(httpx.TransportError):
        await said(http, sandbox, MICROWAVE)
    assert (await http.get("/tasks?user_id=u")).status_code == 200
    assert senders(sandbox) == ["user"]
