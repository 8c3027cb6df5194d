"""The WebSocket session does what seed 004 describes, and what a directive orders."""

import asyncio
import json
from itertools import pairwise

import httpx
import pytest
from websockets import InvalidStatus

from tests.unit.sandbox.client import KEY, MICROWAVE, QUERY, Client, ask, hear, served, until
from worker.sandbox import DialectName, Sandbox

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("dialect", ["docs", "sdk"]),
]

UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def task_id(sandbox: Sandbox) -> str:
    """A task of that sandbox."""
    return sandbox.create_task("user_123").id


def senders(sandbox: Sandbox, task_id: str) -> list[str]:
    """Who spoke in a task."""
    return [line.sender for line in sandbox.store.tasks[task_id].messages]


async def test_an_answer_streams_word_by_word_and_ends_in_the_final(
    client: Client, sandbox: Sandbox, task_id: str, dialect: DialectName
) -> None:
    heard = await client.ask(task_id, MICROWAVE)
    final = heard.final
    assert heard.texts[:3] == ["I", "I found", "I found several"]
    assert all(later.startswith(text) for text, later in pairwise(heard.texts))
    assert heard.texts[-1] == final["text"]
    assert len(heard.raw) == len(heard.texts) + 1
    assert ("options" in final, "cards" in final) == (dialect == "docs", dialect == "sdk")
    assert final["id"] == sandbox.store.tasks[task_id].messages[-1].id


async def test_an_update_looks_like_its_dialect(
    client: Client, task_id: str, dialect: DialectName
) -> None:
    heard = await client.ask(task_id, "hi")
    first = heard.frames[0]
    if dialect == "docs":
        assert first == {"event": "thread-message-text-content-updated", "data": {"text": "I"}}
    else:
        assert first["channel"]["event_name"] == "thread-message-text-content-updated"
        context = first["scope"]["context"]
        assert (context["task_id"], context["message_id"]) == (task_id, heard.final["id"])


async def test_the_final_is_the_object_the_history_shows(
    client: Client, http: httpx.AsyncClient, task_id: str
) -> None:
    heard = await client.ask(task_id, "!final-only | hi")
    history = (await http.get(f"/tasks/{task_id}/messages")).json()
    assert [line["text"] for line in history] == ["!final-only | hi", heard.final["text"]]
    assert history[-1] == heard.final


async def test_one_socket_serves_many_turns_of_many_tasks_in_order(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    other = sandbox.create_task("u").id
    async with client.connect() as socket:
        for sent in ((task_id, "a microwave"), (other, "a fridge"), (task_id, "the cheaper one")):
            await socket.send(json.dumps({"task_id": sent[0], "text": sent[1]}))
        finals = [(await hear(socket)).final["text"] for _ in range(3)]
    assert [text.split(" the ")[0] for text in finals] == [
        "I found several microwaves. Here are",
        "I found several fridges. Here are",
        "The cheapest of these is",
    ]


async def test_fields_nobody_knows_and_a_context_are_taken(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    fields = {"context": {"url": "https://example.com", "lead_details": {}}, "trace": True}
    assert (await client.ask(task_id, "hi", **fields)).final
    assert sandbox.store.user_messages(task_id)[0].request == {
        "task_id": task_id,
        "text": "hi",
        **fields,
    }


@pytest.mark.parametrize("kind", ["header", "both"])
async def test_the_key_may_be_in_the_header(client: Client, task_id: str, kind: str) -> None:
    query = QUERY if kind == "both" else "a=1"
    async with client.connect(query, additional_headers={"x-network-api-key": KEY}) as socket:
        assert (await ask(socket, task_id, "hi")).final


@pytest.mark.parametrize("query", ["network_api_key=wrong%2Fkey", "a=1"])
async def test_a_wrong_and_a_missing_key_are_told_and_closed_with_1008(
    client: Client, query: str
) -> None:
    async with client.connect(query) as socket:
        heard = await hear(socket)
    assert heard.code == 1008
    assert heard.frames == [
        {
            "status_code": 401,
            "description": "Not authenticated",
            "message": "Invalid API key",
            "extra_data": {"method": "GET", "path": "/api/v1/external/session", "query": query},
        }
    ]


@pytest.mark.parametrize(
    ("frame", "status", "message"),
    [
        ('{"task_id": "nope", "text": "hi"}', 404, "Task not found"),
        ('{"text": "hi"}', 422, "body.task_id: field required"),
        ("{", 422, "Expecting property name"),
        (b"\xff", 422, "not JSON"),
        ("[]", 422, "value is not a valid dict"),
        ('{"task_id": "nope", "text": "\\ud800"}', 422, "unicode"),
    ],
)
async def test_a_message_that_cannot_be_taken_is_told_and_closed_with_1008(
    client: Client, frame: str | bytes, status: int, message: str
) -> None:
    async with client.connect() as socket:
        await socket.send(frame)
        heard = await hear(socket)
    assert (heard.code, heard.error["status_code"]) == (1008, status)
    assert message in heard.error["message"]
    assert heard.error["extra_data"]["query"] == QUERY


@pytest.mark.parametrize("text", ["!nonsense | hi", "!cut after=x", "!cut before=1"])
async def test_a_directive_nobody_can_follow_is_told_and_closed_with_1008(
    client: Client, sandbox: Sandbox, task_id: str, text: str
) -> None:
    heard = await client.ask(task_id, text)
    assert (heard.code, heard.error["status_code"]) == (1008, 422)
    assert text.split()[0] in heard.error["message"]
    assert senders(sandbox, task_id) == []


async def test_1011_sends_the_500_payload_then_closes_twice_and_then_answers(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    text = "!1011 after=3 times=2 | a microwave"
    for _ in range(2):
        heard = await client.ask(task_id, text)
        assert (len(heard.texts), heard.error["status_code"], heard.code) == (3, 500, 1011)
        assert heard.error["extra_data"]["query"] == QUERY
    assert "microwaves" in (await client.ask(task_id, text)).final["text"]
    assert senders(sandbox, task_id) == ["user", "user", "user", "agent"]
    assert {line.text for line in sandbox.store.user_messages(task_id)} == {text}


@pytest.mark.parametrize(
    ("text", "updates", "status", "code"),
    [
        ("!1008", 0, None, 1008),
        ("!1008 after=2", 2, None, 1008),
        ("!1008 status=403", 0, 403, 1008),
        ("!400", 0, 400, 1008),
        ("!400 after=2", 2, 400, 1008),
        ("!error", 0, 503, 1011),
        ("!error status=429 retry_after=2", 0, 429, 1011),
        ("!error status=404 after=1", 1, 404, 1008),
    ],
)
async def test_a_refusal_leaves_only_the_question(
    client: Client,
    sandbox: Sandbox,
    task_id: str,
    text: str,
    updates: int,
    status: int | None,
    code: int,
) -> None:
    heard = await client.ask(task_id, text)
    assert (len(heard.texts), heard.code) == (updates, code)
    assert len(heard.raw) == updates + (status is not None)
    if status is not None:
        assert heard.error["status_code"] == status
        assert heard.error["extra_data"]["query"] == QUERY
    assert senders(sandbox, task_id) == ["user"]


async def test_a_moderated_message_carries_the_verdict(client: Client, task_id: str) -> None:
    extra = (await client.ask(task_id, "!400")).error["extra_data"]
    assert extra["moderation_result"] == "flagged"
    assert extra["policy_violation"] == "inappropriate_content"


async def test_a_cut_loses_the_socket_and_keeps_the_answer(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    heard = await client.ask(task_id, "!cut after=3")
    assert (len(heard.raw), heard.code) == (3, None)
    assert isinstance(heard.lost, EOFError)
    await until(lambda: senders(sandbox, task_id) == ["user", "agent"])


async def test_a_cut_may_leave_no_answer(client: Client, sandbox: Sandbox, task_id: str) -> None:
    assert (await client.ask(task_id, "!cut answered=no")).code is None
    await until(lambda: sandbox.state()["running_turns"] == 0)
    assert senders(sandbox, task_id) == ["user"]


async def test_a_cut_may_make_the_history_late(
    client: Client, sandbox: Sandbox, http: httpx.AsyncClient, task_id: str
) -> None:
    await client.ask(task_id, "!cut lag=999")
    await until(lambda: senders(sandbox, task_id) == ["user", "agent"])
    assert (await http.get(f"/tasks/{task_id}/messages")).json() == []


async def test_a_reset_is_a_tcp_reset_and_keeps_the_answer(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    heard = await client.ask(task_id, "!reset")
    assert (len(heard.raw), heard.code) == (1, None)
    assert isinstance(heard.lost, ConnectionResetError)
    await until(lambda: senders(sandbox, task_id) == ["user", "agent"])


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1012, 4001])
async def test_a_close_has_its_code_and_keeps_the_answer(
    client: Client, sandbox: Sandbox, task_id: str, code: int
) -> None:
    heard = await client.ask(task_id, f"!close code={code} after=2")
    assert (len(heard.raw), heard.code) == (2, code)
    await until(lambda: senders(sandbox, task_id) == ["user", "agent"])


async def test_nothing_said_after_our_close_is_taken(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    async with client.connect() as socket:
        for text in ("!1011", "a microwave"):
            await socket.send(json.dumps({"task_id": task_id, "text": text}))
        assert (await hear(socket)).code == 1011
    await until(lambda: sandbox.state()["open_sockets"] == 0)
    assert senders(sandbox, task_id) == ["user"]


@pytest.mark.parametrize(("text", "frames"), [("!silence", 0), ("!silence after=2", 2)])
async def test_after_silence_the_socket_is_open_and_nothing_came(
    client: Client, sandbox: Sandbox, task_id: str, text: str, frames: int
) -> None:
    async with client.connect() as socket:
        await socket.send(json.dumps({"task_id": task_id, "text": text}))
        next_turn = await ask(socket, task_id, "!final-only")
    assert len(next_turn.raw) == frames + 1
    assert senders(sandbox, task_id) == ["user", "user", "agent"]


async def test_a_silent_turn_may_be_answered_in_the_history_alone(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    async with client.connect() as socket:
        await socket.send(json.dumps({"task_id": task_id, "text": "!silence answered=yes"}))
        assert len((await ask(socket, task_id, "!final-only")).raw) == 1
    assert senders(sandbox, task_id) == ["user", "agent", "user", "agent"]


async def test_garbage_is_no_json_and_then_there_is_silence(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    async with client.connect() as socket:
        await socket.send(json.dumps({"task_id": task_id, "text": "!garbage"}))
        heard = await ask(socket, task_id, "!final-only")
    assert len(heard.raw) == 3
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(heard.raw[1])
    assert senders(sandbox, task_id) == ["user", "user", "agent"]


async def test_a_stall_pauses_and_goes_on(client: Client, sandbox: Sandbox, task_id: str) -> None:
    assert (await client.ask(task_id, "!stall seconds=0.01")).final
    async with client.connect() as socket:
        await socket.send(json.dumps({"task_id": task_id, "text": "!stall seconds=999"}))
        await socket.recv()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
    assert sandbox.state()["running_turns"] == 1


async def test_an_unknown_event_comes_before_the_final(client: Client, task_id: str) -> None:
    heard = await client.ask(task_id, "!unknown")
    assert heard.final
    stranger = heard.frames[-2]
    event = stranger.get("event") or stranger["channel"]["event_name"]
    assert event == "thread-message-reaction-updated"
    assert len(heard.raw) == len(heard.texts) + 2


async def test_a_huge_final_is_huge(client: Client, task_id: str) -> None:
    heard = await client.ask(task_id, "!huge bytes=2000000")
    assert len(heard.final["text"]) == 2_000_000
    assert max(map(len, heard.texts)) < 1000


async def test_a_rewrite_does_not_extend_what_was_said(client: Client, task_id: str) -> None:
    heard = await client.ask(task_id, "!rewrite")
    chain = [later.startswith(text) for text, later in pairwise(heard.texts)]
    assert chain.count(False) == 1
    assert heard.final["text"] == heard.texts[-1]


async def test_final_only_streams_nothing(client: Client, task_id: str) -> None:
    heard = await client.ask(task_id, "!final-only")
    assert heard.final
    assert heard.texts == []


async def test_a_load_streams_as_much_as_asked(client: Client, task_id: str) -> None:
    heard = await client.ask(task_id, "!load updates=30 interval=0.001 chunk=20")
    assert [len(text) for text in heard.texts] == list(range(20, 601, 20))
    assert heard.final["text"] == heard.texts[-1]


async def test_a_lost_client_stops_no_turn(client: Client, sandbox: Sandbox, task_id: str) -> None:
    async with client.connect() as socket:
        text = "!load updates=20 interval=0.01 chunk=5"
        await socket.send(json.dumps({"task_id": task_id, "text": text}))
        await socket.recv()
        socket.transport.abort()
    await until(lambda: senders(sandbox, task_id) == ["user", "agent"])
    assert len(sandbox.store.tasks[task_id].messages[-1].text) == 100


@pytest.mark.parametrize(
    ("fault", "retry_after"),
    [
        ({"status": 401, "times": 1}, None),
        ({"status": 429, "retry_after": 2, "times": 1}, "2"),
        ({"times": 1}, None),
    ],
)
async def test_an_upgrade_is_refused_over_http_as_often_as_ordered(
    client: Client,
    sandbox: Sandbox,
    task_id: str,
    dialect: DialectName,
    fault: dict[str, int],
    retry_after: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox.fault(upgrade=fault)
    with pytest.raises(InvalidStatus) as refused:
        await client.ask(task_id, "hi")
    response = refused.value.response
    status = fault.get("status", 503)
    assert response.status_code == status
    assert response.headers.get("retry-after") == retry_after
    assert response.headers["date"]
    body = json.loads(bytes(response.body or b""))
    if status == 401 and dialect == "docs":
        assert body == {"detail": "Not authenticated"}
    else:
        assert body["status_code"] == status
    if status != 401:
        assert body["extra_data"]["query"] == QUERY
    assert (await client.ask(task_id, "hi")).final
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_slow_connect_is_slow_as_often_as_ordered(
    client: Client, sandbox: Sandbox, task_id: str
) -> None:
    sandbox.fault(connect={"delay": 999, "times": 1})
    with pytest.raises(TimeoutError):
        async with client.connect(open_timeout=0.1):
            pass
    sandbox.fault(connect={"delay": 0.01, "times": 1})
    assert (await client.ask(task_id, "hi")).final


async def test_a_client_that_gives_up_a_slow_connect_is_no_error(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fault(connect={"delay": 0.05}, upgrade={"status": 503})
    for _ in range(2):
        _, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
        path = sandbox.ws_url.removeprefix(f"ws://127.0.0.1:{sandbox.port}")
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode() + UPGRADE)
        await until(lambda: sandbox.state()["open_sockets"] == 1)
        writer.transport.abort()
        await until(lambda: sandbox.state()["open_sockets"] == 0)
        await until(lambda: served() == 0)
        sandbox.clear_faults()
        sandbox.fault(connect={"delay": 0.05})
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("fault", "code"), [({}, 1011), ({"code": 1012}, 1012), ({"code": 1005}, 1005)]
)
async def test_an_agent_that_is_down_closes_in_place_of_its_answer(
    client: Client,
    sandbox: Sandbox,
    http: httpx.AsyncClient,
    task_id: str,
    fault: dict[str, int],
    code: int,
) -> None:
    sandbox.fault(answer={**fault, "times": 2})
    for _ in range(2):
        heard = await client.ask(task_id, MICROWAVE)
        assert (heard.raw, heard.code) == ([], code)
    history = (await http.get(f"/tasks/{task_id}/messages")).json()
    assert [line["text"] for line in history] == [MICROWAVE, MICROWAVE]
    assert (await client.ask(task_id, MICROWAVE)).final
