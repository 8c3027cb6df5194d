"""One socket for one attempt: what AUI says is heard whole, and every ending is a verdict."""

import asyncio
from itertools import pairwise

import pytest
from websockets.asyncio.server import ServerConnection

from tests.conformance.script import failing, final
from tests.unit.aui.servers import (
    KEY,
    Answer,
    deaf_server,
    never,
    raw_server,
    reset,
    response,
    saying,
    websocket_server,
)
from tests.unit.aui.talk import (
    ask,
    hear,
    left_behind,
    network_of,
    request_of,
    sessions_of,
    talk,
)
from worker.aui.network import Network, WsAuth
from worker.aui.timeouts import Timeouts
from worker.core.update import Update
from worker.core.verdict import Kind, Source, Verdict
from worker.sandbox import DialectName, Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way")]


@pytest.mark.parametrize("dialect", ["docs", "sdk"])
async def test_an_answer_streams_and_ends_in_the_final(dialect: DialectName) -> None:
    async with Sandbox(dialect=dialect, word_delay=0) as sandbox:
        heard = await ask(sandbox, "a microwave, please")
    assert heard.verdict.kind is Kind.COMPLETED
    assert heard.turn.final is not None
    assert all(later.startswith(text) for text, later in pairwise(heard.texts))
    assert heard.texts[-1] == heard.turn.final.text
    (task,) = sandbox.store.tasks.values()
    assert heard.turn.final.id == task.messages[-1].id
    assert (heard.turn.phase, heard.turn.maybe_sent) == ("streaming", True)


@pytest.mark.parametrize(
    ("order", "kind", "reason"),
    [
        ("!final-only", Kind.COMPLETED, "completed"),
        ("!unknown", Kind.COMPLETED, "completed"),
        ("!rewrite", Kind.COMPLETED, "completed"),
        ("!1011", Kind.INTERRUPTED, "upstream_error"),
        ("!close code=1011", Kind.INTERRUPTED, "internal_error"),
        ("!close code=1012", Kind.INTERRUPTED, "service_restart"),
        ("!close code=1013", Kind.INTERRUPTED, "try_again_later"),
        ("!close code=1000", Kind.INTERRUPTED, "connection_lost"),
        ("!close code=1005", Kind.INTERRUPTED, "connection_lost"),
        ("!close code=4001", Kind.REJECTED, "protocol_error"),
        ("!1008", Kind.REJECTED, "policy_violation"),
        ("!1008 status=503", Kind.REJECTED, "upstream_error"),
        ("!400", Kind.REJECTED, "bad_request"),
        ("!error status=429", Kind.INTERRUPTED, "rate_limited"),
        ("!error status=422", Kind.REJECTED, "unprocessable"),
        ("!cut", Kind.INTERRUPTED, "connection_lost"),
        ("!reset", Kind.INTERRUPTED, "connection_lost"),
        ("!garbage", Kind.INTERRUPTED, "garbage_frame"),
        ("!huge bytes=2000000", Kind.REJECTED, "reply_too_large"),
    ],
)
async def test_every_way_a_turn_can_end_has_its_verdict(
    sandbox: Sandbox, order: str, kind: Kind, reason: str
) -> None:
    heard = await ask(sandbox, f"{order} | a microwave, please")
    assert (heard.verdict.kind, heard.verdict.reason) == (kind, reason)


async def test_a_close_code_tells_who_closed(sandbox: Sandbox) -> None:
    theirs = await ask(sandbox, "!close code=1009 | a microwave, please")
    ours = await ask(sandbox, "!huge bytes=2000000 | a microwave, please")
    assert (theirs.verdict.source, theirs.verdict.close_code) == (Source.SERVER_CLOSE, 1009)
    assert (ours.verdict.source, ours.verdict.close_code) == (Source.LOCAL_CLOSE, None)


async def test_an_unknown_frame_is_counted_and_ignored(sandbox: Sandbox) -> None:
    heard = await ask(sandbox, "!unknown | a microwave, please")
    assert len(heard.turn.ignored) == 1


async def test_a_key_that_is_not_known_is_unauthorized(sandbox: Sandbox) -> None:
    heard = await talk(Network("default", "API_KEY_wrong", sandbox.base_url))
    assert (heard.verdict.reason, heard.verdict.close_code) == ("unauthorized", 1008)


@pytest.mark.parametrize("ws_auth", ["query", "header", "both"])
async def test_a_key_hard_to_spell_arrives_whole_wherever_it_goes(
    sandbox: Sandbox, ws_auth: WsAuth
) -> None:
    sandbox.api_keys.add(KEY)
    task = sandbox.create_task("user_1")
    network = Network("default", KEY, sandbox.base_url, ws_auth=ws_auth)
    heard = await talk(network, request_of(task.id, "hi"))
    assert heard.verdict.kind is Kind.COMPLETED


@pytest.mark.parametrize(
    ("ws_auth", "in_query", "in_header"),
    [("query", True, False), ("header", False, True), ("both", True, True)],
)
async def test_the_upgrade_request_holds_the_key_only_where_it_is_wanted(
    ws_auth: WsAuth, in_query: bool, in_header: bool
) -> None:
    async with raw_server(response(401)) as server:
        await talk(server.network(ws_auth))
    (head,) = server.heads
    request_line, headers = head.decode().split("\r\n", 1)
    assert ("?network_api_key=API_KEY_a%26b%23c%25d%2Be%2Ff " in request_line) is in_query
    assert (f"x-network-api-key: {KEY}\r\n" in headers) is in_header
    assert request_line.startswith("GET /api/api/v1/external/session")


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (response(401), Kind.REJECTED, "unauthorized"),
        (response(403), Kind.REJECTED, "unauthorized"),
        (response(404), Kind.REJECTED, "not_found"),
        (response(429), Kind.INTERRUPTED, "rate_limited"),
        (response(503), Kind.INTERRUPTED, "upstream_error"),
        (response(200, b"hello"), Kind.INTERRUPTED, "upstream_error"),
        (saying(b"220 smtp.example.com ESMTP\r\n"), Kind.INTERRUPTED, "connection_failed"),
        (saying(b""), Kind.INTERRUPTED, "connection_failed"),
        (saying(b"HTTP/1.1 101 Fine\r\n\r\n"), Kind.INTERRUPTED, "connection_failed"),
        (reset, Kind.INTERRUPTED, "connection_failed"),
    ],
    ids=["401", "403", "404", "429", "503", "200", "garbage", "nothing", "no upgrade", "reset"],
)
async def test_an_upgrade_that_fails_is_a_verdict_too(
    answer: Answer, kind: Kind, reason: str
) -> None:
    async with raw_server(answer) as server:
        heard = await talk(server.network())
    assert (heard.verdict.kind, heard.verdict.reason) == (kind, reason)
    assert (heard.turn.phase, heard.turn.maybe_sent) == ("connecting", False)
    assert heard.texts == []


async def test_a_port_where_nobody_listens_is_a_verdict_too() -> None:
    async with raw_server(never) as server:
        pass
    heard = await talk(server.network())
    assert heard.verdict.reason == "connection_failed"


async def test_a_retry_after_of_the_upgrade_is_passed_on(sandbox: Sandbox) -> None:
    sandbox.fault(upgrade={"status": 429, "retry_after": 7})
    heard = await ask(sandbox, "hi")
    assert (heard.verdict.reason, heard.verdict.retry_after) == ("rate_limited", 7.0)


async def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    async with raw_server(response(401)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/"
        async with raw_server(response(302, b"", location)) as server:
            heard = await talk(server.network("both"))
    assert elsewhere.heads == []
    assert len(server.heads) == 1
    assert (heard.verdict.kind, heard.verdict.status_code) == (Kind.INTERRUPTED, 302)


async def test_a_request_arrives_untouched_and_as_text() -> None:
    request = (
        b'{ "task_id":"t", "text":"\\u00e9\xc3\xa9", "new_field": {"a": 1.50}, "context":null}'
    )
    received: list[str | bytes] = []

    async def server_side(socket: ServerConnection) -> None:
        received.append(await socket.recv())
        await socket.send(final("Hi").decode())

    async with websocket_server(server_side) as server:
        await talk(server.network(), request)
    assert received == [request.decode()]


async def test_a_final_survives_byte_for_byte_with_every_field_nobody_knows() -> None:
    raw = b'{"id" : "m1",\n "text":"\\u00e9 \xc3\xa9", "price": 1.50, "sender":{}, "new": [null]}'

    async def server_side(socket: ServerConnection) -> None:
        await socket.send(raw.decode())

    async with websocket_server(server_side) as server:
        heard = await talk(server.network())
    assert heard.turn.final is not None
    assert heard.turn.final.raw == raw


async def test_what_aui_said_before_it_hung_up_counts_though_it_never_read_the_request() -> None:
    async def server_side(socket: ServerConnection) -> None:
        await socket.send(failing(503).decode())
        await socket.close(1011)

    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), request_of("t", "x" * 10**6))
    assert (heard.verdict.reason, heard.verdict.close_code) == ("upstream_error", 1011)


async def test_an_update_of_another_task_is_not_heard() -> None:
    async with Sandbox(dialect="sdk", word_delay=0) as sandbox:
        other = sandbox.create_task("user_2")
        network = network_of(sandbox)
        async with sessions_of(network) as sessions:
            by = asyncio.get_running_loop().time() + 5.0
            texts: list[Update] = []
            turn = await sessions.converse("mine", request_of(other.id, "hi"), by, texts.append)
    assert texts == []
    assert set(turn.ignored) == {"an update of another task"}


async def test_being_cancelled_closes_the_socket_and_leaves_nothing_behind(
    sandbox: Sandbox,
) -> None:
    task = sandbox.create_task("user_1")
    streaming = asyncio.Event()

    async def converse() -> None:
        request = request_of(task.id, "!stall seconds=60 | a microwave, please")
        async with sessions_of(network_of(sandbox)) as sessions:
            await hear(sessions, request, put=lambda _: streaming.set())

    conversing = asyncio.create_task(converse())
    await streaming.wait()
    assert sandbox.state()["open_sockets"] == 1
    conversing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await conversing
    assert left_behind() == []
    assert sandbox.state()["open_sockets"] == 0


async def test_being_cancelled_while_the_upgrade_is_awaited_leaves_nothing_behind() -> None:
    async with raw_server(never) as server:

        async def converse() -> None:
            await talk(server.network(), request_of("t", "hi"))
            raise AssertionError("there is no answer to the upgrade")

        conversing = asyncio.create_task(converse())
        await server.asked.wait()
        conversing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await conversing
        assert left_behind() == []


async def probed(network: Network) -> Verdict:
    """Probe a network; fails if something is left behind."""
    async with sessions_of(network) as sessions:
        return await sessions.probe()


async def test_a_probe_says_nothing_and_goodbye() -> None:
    heard: list[str | bytes] = []
    codes: list[int | None] = []

    async def server_side(socket: ServerConnection) -> None:
        heard.extend([message async for message in socket])
        codes.append(socket.close_code)

    async with websocket_server(server_side) as server:
        assert (await probed(server.network())).kind is Kind.COMPLETED
    assert (heard, codes) == ([], [1000])


async def test_a_key_that_is_refused_after_the_upgrade_fails_a_probe(sandbox: Sandbox) -> None:
    verdict = await probed(Network("default", "API_KEY_unknown", sandbox.base_url))
    assert (verdict.reason, verdict.close_code) == ("unauthorized", 1008)


async def test_an_aui_that_hangs_up_on_a_probe_fails_it() -> None:
    async def server_side(socket: ServerConnection) -> None:
        await socket.close(1013)

    async with websocket_server(server_side) as server:
        verdict = await probed(server.network())
    assert (verdict.kind, verdict.reason) == (Kind.INTERRUPTED, "try_again_later")


async def test_a_socket_that_does_not_live_fails_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.aui.sockets.CLOSE_TIMEOUT", 0.05)
    async with (
        deaf_server() as server,
        asyncio.timeout(5.0),
        sessions_of(server.network(), timeouts=Timeouts(connect=0.5)) as sessions,
    ):
        verdict = await sessions.probe()
    assert (verdict.kind, verdict.source) == (Kind.INTERRUPTED, Source.CONNECT_TIMEOUT)


async def test_a_probe_that_is_cancelled_closes_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.aui.sockets.CLOSE_TIMEOUT", 0.05)
    async with deaf_server() as server, sessions_of(server.network()) as sessions:
        probing = asyncio.create_task(sessions.probe())
        await server.begun.wait()
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
