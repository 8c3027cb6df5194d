"""AUI's WebSocket session: one socket for one attempt at one turn.

Text updates carry no task id in the documents' dialect, so a socket serves one turn and is
closed after it; a late text can then never reach another task.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from worker.aui.evidence import described, of_response, take_close, time_of
from worker.aui.network import Network
from worker.core.redact import Redactor
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import COMPLETED, Source, Verdict

CLOSE_CODE_WAIT = 1.0
"""Seconds to wait, after an error frame, for the close code that may weigh more."""
CLOSE_TIMEOUT = 2.0
_WIRE_LOG = logging.getLogger("worker.aui.websocket.wire")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each step of a turn may take.

    Attributes:
        connect: DNS, TCP, TLS and the upgrade together.
        first_text: from the request to the first text or the final.
        idle: between two frames after that.
    """

    connect: float = 10.0
    first_text: float = 60.0
    idle: float = 60.0


class Sessions:
    """Opens the WebSocket sessions of one network.

    Args:
        network: where, and with which key.
        timeouts: how long each step may take.
        max_bytes: the largest frame accepted; a larger one is ``reply_too_large``.
        redactor: applied to every frame before anything reads it.
    """

    def __init__(
        self, network: Network, timeouts: Timeouts, max_bytes: int, redactor: Redactor
    ) -> None:
        self._network = network
        self._timeouts = timeouts
        self._max_bytes = max_bytes
        self._redactor = redactor
        self._closing: set[asyncio.Task[None]] = set()
        # websockets logs the request line, key included, at DEBUG.
        _WIRE_LOG.setLevel(logging.WARNING)

    @asynccontextmanager
    async def converse(
        self, task_id: str, request: bytes, deadline: float
    ) -> AsyncIterator["SocketConversation"]:
        """Open a socket and send a request; see :meth:`worker.relay.ports.Agent.converse`."""
        turn = Turn(task_id)
        socket = await self._open(turn, deadline)
        try:
            if socket is not None:
                await self._send(turn, socket, request, deadline)
            yield SocketConversation(turn, socket, self._timeouts, deadline, self._redactor)
        finally:
            if socket is not None:
                self._close_behind(socket)

    async def probe(self) -> Verdict:
        """Open a socket and close it, without a message in between.

        A ping makes sure that AUI keeps it: a key may be refused after the upgrade.
        """
        turn = Turn("")
        socket = await self._open(turn, math.inf)
        if socket is not None:
            try:
                async with asyncio.timeout(self._timeouts.connect):
                    await (await socket.ping())
            except TimeoutError:
                turn.ended(Source.CONNECT_TIMEOUT, detail="AUI did not answer a ping")
            except ConnectionClosed:
                # What AUI sent before it closed is still to be read, and says why.
                last = SocketConversation(turn, socket, self._timeouts, math.inf, self._redactor)
                async for _ in last:
                    pass
            finally:
                self._close_behind(socket)
        return turn.verdict or COMPLETED

    async def aclose(self) -> None:
        """Wait until every socket is closed (2 seconds at the most)."""
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _open(self, turn: Turn, deadline: float) -> ClientConnection | None:
        allowed, source = _within(self._timeouts.connect, Source.CONNECT_TIMEOUT, deadline)
        try:
            async with asyncio.timeout(allowed):
                return await _Connect(
                    self._network.session_url,
                    additional_headers=self._network.session_headers,
                    open_timeout=None,
                    close_timeout=CLOSE_TIMEOUT,
                    max_size=self._max_bytes,
                    logger=_WIRE_LOG,
                )
        except TimeoutError:
            turn.ended(source, detail=f"no WebSocket within {allowed:.3g} s")
        except InvalidStatus as refusal:
            response = refusal.response
            turn.refused(
                of_response(
                    response.status_code,
                    bytes(response.body or b""),
                    response.headers.get("Retry-After"),
                    time.time(),
                    self._redactor,
                )
            )
        except (OSError, WebSocketException, ValueError, ImportError) as error:
            # ImportError: a SOCKS proxy needs the package python-socks.
            turn.ended(Source.CONNECTION_FAILED, detail=described(error, self._redactor))
        return None

    async def _send(
        self, turn: Turn, socket: ClientConnection, request: bytes, deadline: float
    ) -> None:
        turn.sending(_clock_of(socket))
        allowed, source = _within(self._timeouts.first_text, Source.FIRST_TEXT_TIMEOUT, deadline)
        try:
            async with asyncio.timeout(allowed):
                await socket.send(request, text=True)
        except TimeoutError:
            turn.ended(source, detail=f"AUI did not take the request within {allowed:.3g} s")
        except ConnectionClosed:
            # What AUI sent before it closed is still to be read, and says why.
            return

    def _close_behind(self, socket: ClientConnection) -> None:
        """Close a socket without making the turn wait for the closing handshake."""
        task = asyncio.create_task(_close(socket))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class SocketConversation:
    """The frames of one attempt, as updates and in the end a verdict."""

    def __init__(
        self,
        turn: Turn,
        socket: ClientConnection | None,
        timeouts: Timeouts,
        deadline: float,
        redactor: Redactor,
    ) -> None:
        self.turn = turn
        self._socket = socket
        self._timeouts = timeouts
        self._deadline = deadline
        self._redactor = redactor
        self._first_text_by = asyncio.get_running_loop().time() + timeouts.first_text
        self._close_by: float | None = None

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        while self.turn.verdict is None:
            update = await self._receive()
            if update is not None:
                return update
        raise StopAsyncIteration

    async def _receive(self) -> Update | None:
        """Wait for one frame; the timeout measures AUI alone, never our own publishing."""
        assert self._socket is not None  # without a socket there is a verdict
        allowed, source = self._allowed()
        try:
            async with asyncio.timeout(allowed):
                raw = await self._socket.recv(decode=False)
        except TimeoutError:
            if self.turn.closing:
                self.turn.no_close_came()
            else:
                self.turn.ended(source, detail=f"nothing from AUI for {allowed:.3g} s")
        except ConnectionClosed as closed:
            take_close(self.turn, closed, self._redactor)
        else:
            return self.turn.receive(self._redactor.data(raw))
        return None

    def _allowed(self) -> tuple[float, Source]:
        now = asyncio.get_running_loop().time()
        if self.turn.closing:
            # From the error frame on: what AUI still says does not put the end off.
            self._close_by = self._close_by or now + CLOSE_CODE_WAIT
            return self._close_by - now, Source.IDLE_TIMEOUT
        if self.turn.started:
            return _within(self._timeouts.idle, Source.IDLE_TIMEOUT, self._deadline)
        left = self._first_text_by - now
        return _within(left, Source.FIRST_TEXT_TIMEOUT, self._deadline)


async def _close(socket: ClientConnection) -> None:
    """Say goodbye, or hang up: the library waits without end for a peer that reads nothing."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await socket.close()
    except TimeoutError:
        socket.transport.abort()
        await socket.wait_closed()


class _Connect(connect):
    """``websockets.connect`` without redirects: they would carry the key to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _clock_of(socket: ClientConnection) -> float | None:
    """Return AUI's time as its upgrade response told it; cut to seconds, so never too late."""
    response = socket.response
    return None if response is None else time_of(response.headers.get("Date"))


def _within(seconds: float, source: Source, deadline: float) -> tuple[float, Source]:
    """Bound a wait by the job's deadline; say which of the two would end it."""
    left = deadline - asyncio.get_running_loop().time()
    return (seconds, source) if seconds <= left else (max(0.0, left), Source.DEADLINE)
