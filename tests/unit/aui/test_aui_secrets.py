"""The key is in nothing that leaves the adapters: verdicts, payloads, exceptions, logs."""

import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from urllib.parse import quote, quote_plus

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests.unit.aui.servers import (
    KEY,
    REDACTOR,
    Answer,
    raw_server,
    response,
    websocket_server,
)
from tests.unit.aui.talk import GENEROUS, Heard, ask, network_of, request_of, talk
from worker.aui.agent import AuiAgent
from worker.aui.alarms import Alarms
from worker.aui.conversation import Conversation
from worker.aui.direct import DirectSocket
from worker.aui.network import Network
from worker.aui.rest import Rest
from worker.aui.websocket import Sessions
from worker.core.errors import AgentUnavailable
from worker.core.turn import Turn
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

SPELLINGS = {KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY), json.dumps(KEY)[1:-1]}
ECHO = json.dumps({"detail": f"no: network_api_key={quote(KEY, safe='')} ({KEY})"}).encode()
SERVERS = ("worker.sandbox", "websockets.server")
"""Who logs on the other side of the wire."""


def assert_no_key(*told: object) -> None:
    """Fail if the key stands anywhere, however it is spelt."""
    shown = " ".join(str(one) for one in told)
    assert shown
    assert not [spelling for spelling in SPELLINGS if spelling in shown]


def all_of(heard: Heard) -> tuple[object, ...]:
    """Return everything an attempt has to tell."""
    error = heard.verdict.error or b""
    final = heard.turn.final.raw if heard.turn.final else b""
    texts = [*heard.texts, error.decode(), final.decode()]
    return (heard.verdict, [getattr(heard.turn, name) for name in Turn.__slots__], *texts)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Log all there is; the fixture returns what the client's side of the wire has logged."""
    for name in (None, "websockets", "websockets.client", "httpx", "httpcore", "worker", "asyncio"):
        caplog.set_level(1, name)

    def text() -> str:
        ours = [record for record in caplog.records if not record.name.startswith(SERVERS)]
        formatted = [logging.Formatter().format(record) for record in ours]
        return "\n".join([*formatted, *(str(record.__dict__) for record in ours)])

    return text


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "order",
    ["hi", "!400 | hi", "!1011 | hi", "!error status=503 | hi", "!cut | hi", "!garbage | hi"],
)
async def test_no_conversation_tells_the_key_though_aui_echoes_it(
    sandbox: Sandbox, logged: Callable[[], str], order: str
) -> None:
    heard = await ask(sandbox, order)
    assert_no_key(*all_of(heard), logged(), "said nothing")
    if heard.verdict.error:
        query = json.loads(heard.verdict.error)["extra_data"]["query"]
        assert query == "network_api_key=[redacted]"


@pytest.mark.usefixtures("way")
async def test_a_key_that_aui_refuses_is_not_told_either(
    sandbox: Sandbox, logged: Callable[[], str]
) -> None:
    heard = await talk(Network("default", KEY, sandbox.base_url))
    assert heard.verdict.reason == "unauthorized"
    assert_no_key(*all_of(heard), logged())
    assert b"[redacted]" in (heard.verdict.error or b"")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "answer",
    [
        response(401, ECHO),
        response(503, ECHO),
        response(302, b"", f"Location: /?network_api_key={quote(KEY, safe='')}"),
        response(200, b"", f"Sec-WebSocket-Accept: {KEY}"),
    ],
    ids=["401", "503", "302", "200"],
)
async def test_an_upgrade_that_fails_does_not_tell_the_key(
    answer: Answer, logged: Callable[[], str]
) -> None:
    async with raw_server(answer) as running:
        heard = await talk(running.network("both"))
        assert len(running.heads) == 1
    assert_no_key(*all_of(heard), logged(), "said nothing")


@pytest.mark.usefixtures("way")
async def test_whatever_aui_says_about_the_key_is_taken_out(logged: Callable[[], str]) -> None:
    async def server_side(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"event": "streaming_update", "data": {"text": KEY}}))
        await socket.send(json.dumps({"event": f"unknown {KEY}"}))
        await socket.close(1008, f"bad {KEY}")

    async with websocket_server(server_side) as server:
        heard = await talk(server.network())
    assert heard.texts == ["[redacted]"]
    assert_no_key(*all_of(heard), logged(), "said nothing")
    assert "bad [redacted]" in heard.verdict.detail


@pytest.mark.parametrize(
    "url", ["ws://", "ws://[", "http://a b/", "ws://127.0.0.1:99999/", "x://y"]
)
async def test_a_url_that_is_none_is_a_verdict_that_does_not_tell_the_key(
    url: str, logged: Callable[[], str]
) -> None:
    heard = await talk(Network("default", KEY, ws_url=url))
    assert heard.verdict.reason == "connection_failed"
    assert_no_key(*all_of(heard), logged(), "said nothing")


async def test_a_proxy_that_cannot_be_used_is_a_verdict_without_its_password(
    monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("socks_proxy", "socks5://user:password_of_proxy@127.0.0.1:9/")
    heard = await talk(Network("default", KEY, ws_url="ws://aui.example/session"))
    assert heard.verdict.reason == "connection_failed"
    assert_no_key(*all_of(heard), logged(), "said nothing")
    assert "password_of_proxy" not in heard.verdict.detail


@pytest.mark.usefixtures("way")
async def test_the_library_is_not_allowed_to_log_the_request_line(
    sandbox: Sandbox, logged: Callable[[], str]
) -> None:
    logging.getLogger("worker.aui.websocket.wire").setLevel(1)
    await ask(sandbox, "hi")
    assert_no_key(logged(), "said nothing")


@pytest.mark.parametrize(
    "call",
    [
        lambda rest: rest.create_task("user_1"),
        lambda rest: rest.list_tasks("user_1"),
        lambda rest: rest.task_messages("task_1"),
        lambda rest: rest.send_message(request_of("task_1", "hi"), 5.0),
    ],
)
async def test_no_rest_call_tells_the_key(
    call: Callable[[Rest], Awaitable[object]], logged: Callable[[], str]
) -> None:
    async with raw_server(response(401, ECHO)) as server:
        rest = Rest(server.network(), 5.0, 5.0, REDACTOR)
        with pytest.raises(AgentUnavailable) as caught:
            await call(rest)
        await rest.aclose()
    verdict = caught.value.verdict
    told = "".join(traceback.format_exception(caught.value))
    assert b"[redacted]" in (verdict.error or b"")
    assert_no_key(verdict, (verdict.error or b"").decode(), told, logged())
    assert "/api/v1/external/" in logged()


async def test_a_rest_answer_that_holds_the_key_does_so_no_more(sandbox: Sandbox) -> None:
    body = json.dumps({"id": "m1", "text": f"your key is {KEY}", "sender": {}}).encode()
    async with raw_server(response(200, body)) as server:
        rest = Rest(server.network(), 5.0, 5.0, REDACTOR)
        answer = await rest.send_message(b"{}", 5.0)
        await rest.aclose()
    assert answer.text == "your key is [redacted]"
    assert_no_key(answer.raw.decode())


async def test_nothing_that_holds_the_key_shows_it(sandbox: Sandbox) -> None:
    network = network_of(sandbox)
    agent = AuiAgent(network, GENEROUS, 1024, REDACTOR)
    sessions = Sessions(network, GENEROUS, 1024, REDACTOR)
    turn = Turn("t")
    alarms = Alarms()
    socket = DirectSocket(ClientProtocol(parse_uri(network.session_url)), {"x": KEY}, set(), alarms)
    conversation = Conversation(turn, socket, print, GENEROUS, 0.0, REDACTOR, alarms)
    assert_no_key(repr(network), repr(agent), repr(agent.rest), repr(sessions))
    assert_no_key(repr(socket), repr(conversation), repr(turn))
    await agent.aclose()
