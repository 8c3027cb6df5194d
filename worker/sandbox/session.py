"""The WebSocket session: messages in, streamed answers out, one turn after another (seed 004)."""

import asyncio

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from worker.sandbox.backend import Backend
from worker.sandbox.dialect import GARBAGE, encode
from worker.sandbox.refusal import UNAUTHORIZED, Failure, Refused
from worker.sandbox.store import TaskMessage
from worker.sandbox.turns import Turn
from worker.sandbox.uvicorn_server import drop_connection
from worker.sandbox.validation import read_json, read_message


class Session:
    """The endpoint `/api/v1/external/session`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def serve(self, socket: WebSocket) -> None:
        """Serves one connection until either side ends it; a turn in play is played out."""
        backend = self._backend
        if (fault := backend.faults.take("connect")) is not None:
            await asyncio.sleep(fault.delay)
        if (fault := backend.faults.take("upgrade")) is not None:
            await socket.send_denial_response(backend.refusal(fault.failure, socket))
            return
        await socket.accept()
        if not backend.authorized(socket):
            await _refuse(socket, backend, UNAUTHORIZED)
            return
        while (received := await _receive(socket)) is not None:
            await self._answer(socket, received)

    async def _answer(self, socket: WebSocket, received: str | bytes) -> None:
        try:
            turn = self._backend.turns.open(read_message(read_json(received)))
        except Refused as refused:
            await _refuse(socket, self._backend, refused.failure)
            return
        await self._backend.turns.play(turn, SocketOutlet(socket, self._backend, turn))


class SocketOutlet:
    """One turn as its socket hears it: frames, until the socket is gone or the turn hushed."""

    def __init__(self, socket: WebSocket, backend: Backend, turn: Turn) -> None:
        self._socket = socket
        self._backend = backend
        self._turn = turn
        self._frame_of = backend.dialect.updates(turn.context)
        self._silent = False

    async def update(self, text: str) -> None:
        """A text update."""
        if not self._silent:
            await self._send(self._frame_of(text))

    async def finish(self, message: TaskMessage) -> None:
        """The final message, without an event name."""
        await self._send(encode(self._backend.dialect.message(message, self._turn.task)))

    async def fail(self, failure: Failure, code: int) -> None:
        """The error payload, then the close frame (seed 004 "Error Handling")."""
        await self._send(encode(failure.payload(self._backend.origin(self._socket))))
        await self.close(code)

    async def close(self, code: int) -> None:
        """A close frame; code 1005 stands for one without a code."""
        if not self._silent:
            await _close(self._socket, None if code == 1005 else code)
        self._silent = True

    async def drop(self, *, reset: bool) -> None:
        """The connection lost, without a close frame."""
        drop_connection(self._socket.scope, reset=reset)
        self._silent = True

    async def garbage(self) -> None:
        """A text frame that is not JSON."""
        await self._send(GARBAGE)

    async def unknown(self) -> None:
        """A frame with an unknown event."""
        await self._send(self._backend.dialect.unknown(self._turn.context))

    async def hush(self) -> None:
        """Nothing more in this turn; the socket stays open."""
        self._silent = True

    async def _send(self, frame: str) -> None:
        if not self._silent and not await _send(self._socket, frame):
            self._silent = True


async def _receive(socket: WebSocket) -> str | bytes | None:
    # A message that came before our own close is not answered: the conversation is over.
    if socket.application_state is not WebSocketState.CONNECTED:
        return None
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        return None
    text: str | bytes | None = event.get("text")
    return event["bytes"] if text is None else text


async def _refuse(socket: WebSocket, backend: Backend, failure: Failure) -> None:
    if await _send(socket, encode(failure.payload(backend.origin(socket)))):
        await _close(socket, 1008)


async def _send(socket: WebSocket, frame: str) -> bool:
    return await _perform(socket, {"type": "websocket.send", "text": frame})


async def _close(socket: WebSocket, code: int | None) -> bool:
    return await _perform(socket, {"type": "websocket.close", "code": code, "reason": ""})


async def _perform(socket: WebSocket, event: Message) -> bool:
    try:
        await socket.send(event)
    except (WebSocketDisconnect, RuntimeError):
        # uvicorn raises RuntimeError after it closed on its own, on a lost keepalive say.
        return False
    return True
