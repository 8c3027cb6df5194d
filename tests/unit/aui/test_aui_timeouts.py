"""Each step of a turn has its time; what takes it is AUI alone, and the deadline ends them all."""

import asyncio
import time

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.conformance.script import failing, final, updating
from tests.unit.aui.servers import deaf_server, never, raw_server, websocket_server
from tests.unit.aui.talk import ask, hear, left_behind, request_of, sessions_of, talk
from worker.aui.timeouts import Timeouts
from worker.core.update import Update
from worker.core.verdict import Kind, Source
from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way"), pytest.mark.timeout(15)]

SHORT = 0.05
A_WHILE = 1.0
"""Long enough for a connection on a busy machine."""
HUGE = request_of("t", "x" * 32 * 1024 * 1024)
"""More than a peer that does not read can be made to take."""


async def silent(socket: ServerConnection) -> None:
    """Read what comes and say nothing."""
    await socket.wait_closed()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not give a peer that does not read two seconds for its goodbye."""
    monkeypatch.setattr("worker.aui.sockets.CLOSE_TIMEOUT", SHORT)


async def test_no_upgrade_in_time_is_a_timeout() -> None:
    async with raw_server(never) as server:
        heard = await talk(server.network(), timeouts=Timeouts(connect=SHORT))
    assert (heard.verdict.source, heard.verdict.reason) == (Source.CONNECT_TIMEOUT, "timeout")
    assert heard.turn.phase == "connecting"


async def test_no_text_in_time_is_a_timeout(sandbox: Sandbox) -> None:
    heard = await ask(sandbox, "!silence | hi", timeouts=Timeouts(first_text=SHORT))
    assert (heard.verdict.source, heard.verdict.reason) == (Source.FIRST_TEXT_TIMEOUT, "timeout")
    assert "nothing from AUI for 0." in heard.verdict.detail
    assert heard.turn.phase == "waiting"


async def test_frames_that_are_no_text_do_not_put_the_first_text_off() -> None:
    async def server_side(socket: ServerConnection) -> None:
        while True:
            await socket.send('{"event":"typing"}')
            await asyncio.sleep(SHORT / 5)

    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), timeouts=Timeouts(first_text=SHORT), deadline=3.0)
    assert heard.verdict.source is Source.FIRST_TEXT_TIMEOUT


async def test_a_text_that_is_not_followed_in_time_is_a_timeout(sandbox: Sandbox) -> None:
    heard = await ask(sandbox, "!stall seconds=60 | a microwave", timeouts=Timeouts(idle=SHORT))
    assert (heard.verdict.source, heard.verdict.reason) == (Source.IDLE_TIMEOUT, "timeout")
    assert heard.texts == ["I"]
    assert heard.turn.phase == "streaming"


async def test_a_loop_that_was_held_up_reads_what_has_come_before_it_gives_up() -> None:
    """Whatever holds the event loop up, here the listener itself: it is not AUI that is late."""

    async def server_side(socket: ServerConnection) -> None:
        for text in ("a", "ab", "abc"):
            await socket.send(updating(text).decode())
            await asyncio.sleep(0)
        await socket.send(final("abc").decode())
        await socket.wait_closed()

    def hold_up(_: Update) -> None:
        time.sleep(2 * SHORT)

    timeouts = Timeouts(first_text=A_WHILE, idle=SHORT)
    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), timeouts=timeouts, put=hold_up)
    assert heard.verdict.kind is Kind.COMPLETED
    assert heard.texts == ["a", "ab", "abc"]


async def test_after_an_error_frame_the_close_code_is_awaited_and_weighs_more() -> None:
    async def server_side(socket: ServerConnection) -> None:
        await socket.send(failing(503).decode())
        await asyncio.sleep(SHORT)
        await socket.close(1008)

    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), timeouts=Timeouts(idle=SHORT / 5))
    assert (heard.verdict.kind, heard.verdict.close_code) == (Kind.REJECTED, 1008)


async def test_a_close_code_that_stays_out_is_not_awaited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def server_side(socket: ServerConnection) -> None:
        await socket.send(failing(400).decode())
        await socket.wait_closed()

    monkeypatch.setattr("worker.aui.conversation.CLOSE_CODE_WAIT", SHORT)
    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), deadline=5.0)
    assert (heard.verdict.reason, heard.verdict.close_code) == ("bad_request", None)


async def test_talking_on_after_an_error_frame_does_not_put_the_end_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = asyncio.Event()

    async def server_side(socket: ServerConnection) -> None:
        await socket.send(failing(400).decode())
        try:
            while True:
                await socket.send(updating("still there").decode())
                await asyncio.sleep(SHORT / 5)
        except ConnectionClosed:
            stopped.set()

    monkeypatch.setattr("worker.aui.conversation.CLOSE_CODE_WAIT", SHORT)
    async with websocket_server(server_side) as server, asyncio.timeout(3.0):
        heard = await talk(server.network())
        await stopped.wait()
    assert heard.verdict.reason == "bad_request"
    assert heard.texts == []


async def test_the_deadline_cuts_a_stream_off(sandbox: Sandbox) -> None:
    heard = await ask(sandbox, "!stall seconds=60 | a microwave", deadline=A_WHILE)
    assert (heard.verdict.kind, heard.verdict.reason) == (Kind.REJECTED, "deadline_exceeded")
    assert heard.texts == ["I"]


async def test_the_deadline_cuts_a_stream_off_that_never_pauses() -> None:
    async def server_side(socket: ServerConnection) -> None:
        while True:
            await socket.send(updating("more and more").decode())
            await asyncio.sleep(SHORT / 10)

    async with websocket_server(server_side) as server:
        heard = await talk(server.network(), deadline=A_WHILE)
    assert heard.verdict.reason == "deadline_exceeded"
    assert heard.texts


async def test_the_deadline_cuts_the_wait_for_the_first_text_off() -> None:
    async with websocket_server(silent) as server:
        heard = await talk(server.network(), deadline=A_WHILE)
    assert heard.verdict.reason == "deadline_exceeded"


async def test_the_deadline_cuts_the_upgrade_off() -> None:
    async with raw_server(never) as server:
        heard = await talk(server.network(), deadline=SHORT)
    assert heard.verdict.reason == "deadline_exceeded"


async def test_nothing_is_sent_after_the_deadline() -> None:
    async with raw_server(never) as server:
        heard = await talk(server.network(), deadline=-1.0)
    assert heard.verdict.reason == "deadline_exceeded"
    assert not heard.turn.maybe_sent


@pytest.mark.usefixtures("hasty")
async def test_the_deadline_cuts_a_request_off_that_nobody_reads() -> None:
    async with deaf_server() as server, asyncio.timeout(5.0):
        heard = await talk(server.network(), HUGE, deadline=A_WHILE)
    assert heard.verdict.reason == "deadline_exceeded"
    assert heard.turn.maybe_sent


@pytest.mark.usefixtures("hasty")
async def test_a_request_that_nobody_reads_is_a_timeout() -> None:
    async with deaf_server() as server, asyncio.timeout(5.0):
        heard = await talk(server.network(), HUGE, timeouts=Timeouts(first_text=SHORT))
    assert (heard.verdict.kind, heard.verdict.reason) == (Kind.INTERRUPTED, "timeout")
    assert "did not take the request" in heard.verdict.detail


@pytest.mark.usefixtures("hasty")
async def test_being_cancelled_while_a_request_is_sent_closes_the_socket() -> None:
    async with deaf_server() as server:

        async def converse() -> None:
            async with sessions_of(server.network()) as sessions:
                await hear(sessions, HUGE)
                raise AssertionError("the request cannot have been sent")

        conversing = asyncio.create_task(converse())
        await server.begun.wait()
        conversing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await conversing
        assert left_behind() == []
