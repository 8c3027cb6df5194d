"""A socket serves the next message of its own task, and nothing that is in doubt."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError

from tests.conformance.script import PATIENCE, failing, final, updating
from tests.unit.aui.servers import RawServer, reset_socket, websocket_server
from tests.unit.aui.talk import Heard, hear, keeping, network_of, request_of, sessions_of
from worker.aui.kept import KeptSockets
from worker.aui.sockets import Listener
from worker.aui.websocket import Sessions
from worker.core.update import Update
from worker.core.verdict import COMPLETED, Kind
from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("way"), pytest.mark.timeout(20)]

SHORT = 0.05


class Aui:
    """A server that answers every message; what it is told to do comes on top.

    Attributes:
        server: where it is.
        sockets: every socket that was opened.
        asked: on which of them each message came.
        play: answers the messages after the first of a socket.
    """

    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.sockets: list[ServerConnection] = []
        self.asked: list[int] = []
        self.play: Callable[[ServerConnection], Awaitable[None]] = self.answer

    async def answer(self, socket: ServerConnection) -> None:
        """Answer well."""
        number = len(self.asked)
        await socket.send(updating(f"answer {number}").decode())
        await socket.send(final(f"answer {number}", id=f"msg_{number}").decode())

    async def serve(self, socket: ServerConnection) -> None:
        """Serve a socket."""
        self.sockets.append(socket)
        number = len(self.sockets)
        async for _ in socket:
            first = number not in self.asked
            self.asked.append(number)
            await (self.answer(socket) if first else self.play(socket))

    async def lost(self, number: int) -> int | None:
        """Wait until a socket is closed; return the code."""
        async with asyncio.timeout(PATIENCE):
            await self.sockets[number - 1].wait_closed()
        return self.sockets[number - 1].close_code


@asynccontextmanager
async def aui_and_sessions(seconds: float = 60.0) -> AsyncIterator[tuple[Aui, Sessions]]:
    """Lend AUI, and sessions that keep sockets."""
    aui = Aui(RawServer())
    async with (
        websocket_server(aui.serve) as aui.server,
        sessions_of(keeping(aui.server.network(), seconds)) as sessions,
    ):
        yield aui, sessions


async def ask(sessions: Sessions, task_id: str = "task_1", deadline: float = 10.0) -> Heard:
    """Ask something."""
    return await hear(sessions, request_of(task_id, "hello"), deadline=deadline)


async def test_the_messages_of_a_task_go_over_one_socket() -> None:
    async with aui_and_sessions() as (aui, sessions):
        heard = [await ask(sessions) for _ in range(3)]
    assert aui.asked == [1, 1, 1]
    assert [one.texts for one in heard] == [["answer 1"], ["answer 2"], ["answer 3"]]
    assert [one.turn.final.id for one in heard if one.turn.final] == ["msg_1", "msg_2", "msg_3"]
    assert [(one.turn.maybe_sent, one.turn.stale) for one in heard] == [(True, False)] * 3


async def test_the_sandbox_answers_them_all_the_same(sandbox: Sandbox) -> None:
    task = sandbox.create_task("user_1")
    async with sessions_of(network_of(sandbox, keep=60.0)) as sessions:
        for _ in range(3):
            heard = await hear(sessions, request_of(task.id, "a microwave"))
            assert heard.verdict is COMPLETED
        assert sandbox.state()["open_sockets"] == 1
    (kept,) = sandbox.store.tasks.values()
    assert len(kept.messages) == 6


async def test_no_socket_goes_to_another_task() -> None:
    async with aui_and_sessions() as (aui, sessions):
        for task_id in ("task_1", "task_2", "task_1", "task_2"):
            await ask(sessions, task_id)
    assert aui.asked == [1, 2, 1, 2]


async def test_sockets_are_not_kept_where_that_is_not_wanted() -> None:
    async with aui_and_sessions(seconds=0.0) as (aui, sessions):
        await ask(sessions)
        assert await aui.lost(1) == 1000
        await ask(sessions)
    assert aui.asked == [1, 2]


async def test_a_socket_is_kept_for_so_long_and_then_closed() -> None:
    async with aui_and_sessions(seconds=SHORT) as (aui, sessions):
        await ask(sessions)
        await ask(sessions, "task_2")
        assert (await aui.lost(1), await aui.lost(2)) == (1000, 1000)
        await ask(sessions)
    assert aui.asked == [1, 2, 3]


async def test_shutting_down_says_goodbye_on_every_kept_socket_and_keeps_no_more() -> None:
    async with aui_and_sessions() as (aui, sessions):
        for number in range(3):
            await ask(sessions, f"task_{number}")
        await sessions.aclose()
        assert [await aui.lost(number) for number in (1, 2, 3)] == [1000] * 3
        await ask(sessions)
        assert await aui.lost(4) == 1000


async def test_a_frame_between_two_turns_closes_the_socket() -> None:
    async with aui_and_sessions() as (aui, sessions):
        await ask(sessions)
        await aui.sockets[0].send(updating("too late").decode())
        assert await aui.lost(1) == 1000
        heard = await ask(sessions)
    assert (aui.asked, heard.texts) == ([1, 2], ["answer 2"])


async def test_a_frame_right_behind_the_final_closes_the_socket() -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def answer_twice(socket: ServerConnection) -> None:
            await aui.answer(socket)
            await socket.send(updating("one more thing").decode())

        aui.play = answer_twice
        await ask(sessions)
        heard = await ask(sessions)
        assert heard.verdict is COMPLETED
        assert await aui.lost(1) == 1000
        await ask(sessions)
    assert aui.asked == [1, 1, 2]


async def test_a_final_that_comes_once_more_is_not_the_next_answer() -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def repeat(socket: ServerConnection) -> None:
            await socket.send(final("answer 1", id="msg_1").decode())
            await aui.answer(socket)

        aui.play = repeat
        await ask(sessions)
        heard = await ask(sessions)
        assert heard.turn.final is not None
        assert (heard.turn.final.id, heard.texts) == ("msg_2", ["answer 2"])
        assert heard.turn.ignored == {"the final of the turn before": 1}
        assert await aui.lost(1) == 1000
        await ask(sessions)
    assert aui.asked == [1, 1, 2]


@pytest.mark.parametrize(
    "frames",
    [
        [b'{"event":"typing"}', final("Hi")],
        [failing(400)],
        [b"<html>"],
    ],
    ids=["unknown", "error", "garbage"],
)
async def test_a_socket_on_which_anything_went_wrong_is_not_kept(frames: list[bytes]) -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def misbehave(socket: ServerConnection) -> None:
            for frame in frames:
                await socket.send(frame.decode())

        aui.play = misbehave
        await ask(sessions)
        await ask(sessions)
        assert await aui.lost(1) == 1000
        heard = await ask(sessions)
    assert (aui.asked, heard.verdict) == ([1, 1, 2], COMPLETED)


async def test_a_turn_that_is_cancelled_closes_its_socket() -> None:
    async with aui_and_sessions() as (aui, sessions):
        streaming = asyncio.Event()

        async def stall(socket: ServerConnection) -> None:
            await socket.send(updating("Well").decode())

        def put(_: Update) -> None:
            streaming.set()

        aui.play = stall
        await ask(sessions)
        asking = asyncio.create_task(hear(sessions, request_of("task_1", "hello"), put=put))
        await streaming.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await aui.lost(1) == 1000
        await ask(sessions)
    assert aui.asked == [1, 1, 2]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011])
async def test_a_socket_that_aui_closed_while_it_was_kept_is_simply_not_used(code: int) -> None:
    async with aui_and_sessions() as (aui, sessions):
        await ask(sessions)
        await aui.sockets[0].close(code)
        heard = await ask(sessions)
    assert (aui.asked, heard.verdict, heard.turn.stale) == ([1, 2], COMPLETED, False)


async def close_with(code: int, socket: ServerConnection) -> None:
    """Close."""
    await socket.close(code)


async def cut(socket: ServerConnection) -> None:
    """Hang up."""
    socket.transport.abort()


async def reset(socket: ServerConnection) -> None:
    """Reset the connection."""
    reset_socket(socket.transport)


@pytest.mark.parametrize(
    "fail",
    [
        cut,
        reset,
        lambda socket: close_with(1000, socket),
        lambda socket: close_with(1001, socket),
        lambda socket: close_with(1011, socket),
    ],
    ids=["cut", "reset", "1000", "1001", "1011"],
)
async def test_a_kept_socket_that_fails_before_a_word_came_is_stale(
    fail: Callable[[ServerConnection], Awaitable[None]],
) -> None:
    async with aui_and_sessions() as (aui, sessions):
        aui.play = fail
        await ask(sessions)
        heard = await ask(sessions)
        assert heard.verdict.kind is Kind.INTERRUPTED
        assert (heard.turn.stale, heard.turn.maybe_sent, heard.texts) == (True, True, [])
        heard = await ask(sessions)
    assert (aui.asked, heard.verdict, heard.turn.stale) == ([1, 1, 2], COMPLETED, False)


async def test_what_aui_says_of_a_message_is_believed_on_a_kept_socket_too() -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def refuse(socket: ServerConnection) -> None:
            await socket.close(1008)

        aui.play = refuse
        await ask(sessions)
        heard = await ask(sessions)
    assert (heard.verdict.kind, heard.verdict.close_code) == (Kind.REJECTED, 1008)
    assert not heard.turn.stale


async def test_a_kept_socket_that_fails_after_the_first_word_is_an_attempt_like_any() -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def begin(socket: ServerConnection) -> None:
            await socket.send(updating("Well").decode())
            await socket.close(1011)

        aui.play = begin
        await ask(sessions)
        heard = await ask(sessions)
    assert (heard.verdict.reason, heard.turn.stale) == ("internal_error", False)
    assert heard.texts == ["Well"]


async def test_a_new_socket_that_fails_before_a_word_came_is_not_stale() -> None:
    async with aui_and_sessions() as (aui, sessions):
        aui.answer = aui.play = cut  # type: ignore[method-assign]
        heard = await ask(sessions)
    assert (heard.verdict.reason, heard.turn.stale) == ("connection_lost", False)


async def test_one_that_is_stale_makes_all_of_them_suspect() -> None:
    async with aui_and_sessions() as (aui, sessions):
        aui.play = cut
        for task_id in ("task_1", "task_2", "task_3", "task_1"):
            await ask(sessions, task_id)
        assert (await aui.lost(2), await aui.lost(3)) == (1000, 1000)


async def test_a_refused_key_is_not_hidden_by_sockets_that_were_opened_with_it() -> None:
    async with aui_and_sessions() as (aui, sessions):

        async def refuse(socket: ServerConnection) -> None:
            await socket.send(failing(401).decode())
            await socket.close(1008)

        aui.play = refuse
        for task_id in ("task_1", "task_2", "task_1"):
            heard = await ask(sessions, task_id)
        assert heard.verdict.reason == "unauthorized"
        assert await aui.lost(2) == 1000


async def test_what_a_new_socket_does_not_get_a_kept_one_does_not_get_either(
    sandbox: Sandbox,
) -> None:
    async with sessions_of(network_of(sandbox, keep=60.0)) as sessions:
        kept, new = sandbox.create_task("user_1").id, sandbox.create_task("user_2").id
        await hear(sessions, request_of(kept, "hi"))
        sandbox.fault(upgrade={"status": 503, "times": 2})
        for task_id in (new, kept):
            heard = await hear(sessions, request_of(task_id, "hi"))
            assert heard.verdict.status_code == 503


async def test_a_kept_socket_answers_pings() -> None:
    async with aui_and_sessions() as (aui, sessions):
        await ask(sessions)
        async with asyncio.timeout(PATIENCE):
            await (await aui.sockets[0].ping())
        await ask(sessions)
    assert aui.asked == [1, 1]


async def test_no_message_goes_over_a_kept_socket_when_no_time_is_left() -> None:
    async with aui_and_sessions() as (aui, sessions):
        await ask(sessions)
        heard = await ask(sessions, deadline=-1.0)
        assert heard.verdict.reason == "deadline_exceeded"
        assert not heard.turn.maybe_sent
        await ask(sessions)
    assert aui.asked == [1, 1]


class Idle:
    """A socket of which one sees whether it was closed."""

    is_open = is_idle = True

    def __init__(self) -> None:
        self.was_closed = False
        self.listeners: list[Listener] = []

    def clock(self) -> float | None:
        return None

    def listen(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def send(self, request: bytes) -> bool:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.was_closed = True

    async def closed(self) -> None:
        raise NotImplementedError


async def test_of_too_many_kept_sockets_the_ones_kept_longest_are_closed() -> None:
    kept = KeptSockets(60.0, at_most=2)
    sockets = [Idle() for _ in range(4)]
    for number, socket in enumerate(sockets[:3]):
        kept.keep(f"task_{number}", socket, "msg")
    assert [socket.was_closed for socket in sockets[:3]] == [True, False, False]
    again = kept.take("task_1")
    assert again is not None
    assert again.socket is sockets[1]
    kept.keep("task_1", sockets[1], "msg")
    kept.keep("task_3", sockets[3], "msg")
    assert [socket.was_closed for socket in sockets] == [True, False, True, False]
    assert kept.take("task_2") is None
    kept.clear()
    assert all(socket.was_closed for socket in sockets)


async def test_a_task_has_one_kept_socket_at_the_most() -> None:
    kept = KeptSockets(60.0)
    first, second = Idle(), Idle()
    kept.keep("task_1", first, "msg_1")
    kept.keep("task_1", second, "msg_2")
    assert (first.was_closed, second.was_closed) == (True, False)
    taken = kept.take("task_1")
    assert taken is not None
    assert (taken.socket, taken.final_id) == (second, "msg_2")
    assert kept.take("task_1") is None


async def test_a_socket_that_has_ended_is_forgotten_at_once() -> None:
    kept, socket = KeptSockets(60.0), Idle()
    kept.keep("task_1", socket, "msg_1")
    socket.listeners.pop().ended(ConnectionClosedError(None, None))
    assert (len(kept), socket.was_closed) == (0, True)


@pytest.mark.parametrize("when", ["kept", "taken"])
async def test_a_socket_that_is_not_idle_is_closed(when: str) -> None:
    kept, socket = KeptSockets(60.0), Idle()
    socket.is_idle = when == "taken"
    kept.keep("task_1", socket, "msg_1")
    socket.is_idle = False
    assert kept.take("task_1") is None
    assert socket.was_closed
    kept.clear()


async def test_shutting_down_does_not_wait_for_a_conversation_that_runs() -> None:
    async with aui_and_sessions() as (aui, sessions):
        streaming = asyncio.Event()

        async def stall(socket: ServerConnection) -> None:
            await socket.send(updating("Well").decode())

        aui.answer = stall  # type: ignore[method-assign]
        running = asyncio.create_task(
            hear(sessions, request_of("task_1", "hello"), put=lambda _: streaming.set())
        )
        await streaming.wait()
        async with asyncio.timeout(PATIENCE):
            await sessions.aclose()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await aui.lost(1) == 1000
