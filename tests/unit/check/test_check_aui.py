"""What AUI answers to the questions of a check, and which line it becomes."""

import pytest

from tests.unit.aui.servers import (
    KEY,
    REDACTOR,
    Answer,
    RawServer,
    in_turn,
    raw_server,
    reset,
    response,
)
from worker.check.aui import check_network
from worker.check.finding import Finding, State

pytestmark = pytest.mark.anyio

NONE = response(200, b'{"tasks": [], "total": 0, "page": 1, "size": 50}')
UNAUTHORIZED = response(403, b'{"detail": "Not yours: %b"}' % KEY.encode())
"""AUI may echo the key."""


async def asked(*answers: Answer) -> tuple[list[Finding], RawServer]:
    """Check an AUI that answers so: the lists, and then a WebSocket."""
    found: list[Finding] = []
    async with raw_server(in_turn(*answers)) as server:
        await check_network(server.network(), REDACTOR, found.append)
    assert KEY not in repr(found)
    return found, server


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (UNAUTHORIZED, "403 Not yours: [redacted]: check AUI_NETWORK_API_KEY"),
        (response(404, b"nothing here"), "404 HTTP 404: check AUI_BASE_URL"),
        (response(500), "500 HTTP 500: check AUI_BASE_URL"),
        (response(200, b"<html>"), "garbage frame: AUI sent a body that is no JSON: check AUI_"),
        (reset, "no connection: ReadError: check AUI_BASE_URL"),
    ],
)
async def test_without_a_list_there_is_no_need_to_ask_on(answer: Answer, said: str) -> None:
    """One thing is wrong, and one line says so."""
    found, server = await asked(answer)

    key, rest = found
    assert (key.what, key.state) == ("AUI key of network default", State.FAILED)
    assert key.said.startswith(said)
    assert (rest.what, rest.state) == ("AUI history of network default, socket", State.SKIPPED)
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (response(200, b"[]"), State.OK, "may be read"),
        (response(404, b'{"detail": "No task"}'), State.OK, "may be read (404 No task, of a"),
        (response(400, b'{"detail": "Odd id"}'), State.OK, "may be read (400 Odd id, of a"),
        (UNAUTHORIZED, State.FAILED, "403 Not yours: [redacted]: an answer that got lost"),
        (response(503), State.FAILED, "503 HTTP 503: "),
    ],
)
async def test_a_history_that_may_not_be_read_is_a_line_of_its_own(
    answer: Answer, state: State, said: str
) -> None:
    """That nobody has such a task is what is to be expected."""
    found, server = await asked(NONE, answer, NONE, response(503))

    _, history, _ = found
    assert (history.what, history.state) == ("AUI history of network default", state)
    assert history.said.startswith(said)
    assert server.heads[1].startswith(b"GET /api/api/v1/external/tasks/aui-worker-check/messages ")


async def test_a_socket_that_does_not_open_is_told_apart_from_a_wrong_key() -> None:
    """The key was taken a moment before."""
    found, _ = await asked(NONE, response(200, b"[]"), NONE, response(403, b"no"))

    key, history, socket = found
    assert [key.state, history.state, socket.state] == [State.OK, State.OK, State.FAILED]
    assert socket.said.startswith("403 ")
    assert "the key is good, so check AUI_WS_URL" in socket.said
