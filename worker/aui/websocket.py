"""AUI's WebSocket sessions: opened for a turn, and kept for the next turn of the same task.

Text updates carry no task id in the documents' dialect, so a socket serves one task alone, one
turn at a time, and is closed when anything but an answer came over it; a late text can then never
reach another task or turn.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from websockets.exceptions import InvalidStatus, WebSocketException

from worker.aui.alarms import Alarms
from worker.aui.conversation import Conversation
from worker.aui.evidence import described, of_response
from worker.aui.kept import Kept, KeptSockets
from worker.aui.network import Network
from worker.aui.opening import Opening
from worker.aui.sockets import WIRE_LOG, Socket
from worker.aui.timeouts import Timeouts, sooner
from worker.core.redact import Redactor
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import COMPLETED, Source, Verdict


class Sessions:
    """The WebSocket sessions of one network. Made within a running event loop.

    Args:
        network: where, and with which key.
        timeouts: how long each step may take.
        max_bytes: the largest message accepted; a larger one is ``reply_too_large``.
        redactor: applied to every message before anything reads it.

    Attributes:
        conversations: sockets with a turn on them.
    """

    def __init__(
        self, network: Network, timeouts: Timeouts, max_bytes: int, redactor: Redactor
    ) -> None:
        self._timeouts = timeouts
        self._redactor = redactor
        self._sockets: set[Socket] = set()
        self._alarms = Alarms()
        self._opening = Opening(network, max_bytes, self._sockets, self._alarms)
        self._kept = KeptSockets(network.keep_socket)
        self.conversations = 0
        # websockets logs the request line, key included, at DEBUG.
        WIRE_LOG.setLevel(logging.WARNING)

    @property
    def kept(self) -> int:
        """Sockets that are kept for the next turn of their task."""
        return len(self._kept)

    async def converse(
        self, task_id: str, request: bytes, deadline: float, put: Callable[[Update], None]
    ) -> Turn:
        """Hold one attempt at a turn; see :meth:`worker.relay.ports.Agent.converse`."""
        if deadline <= asyncio.get_running_loop().time():
            turn = Turn(task_id)
            turn.ended(Source.DEADLINE, detail="no time is left")
            return turn
        kept = self._kept.take(task_id)
        turn = Turn(task_id, None if kept is None else kept.final_id)
        socket = await self._open(turn, deadline) if kept is None else kept.socket
        if socket is None:
            # What a new socket does not get, a kept one shall not get either.
            self._kept.clear()
            return turn
        conversation = self._conversation(turn, socket, put, deadline)
        self.conversations += 1
        try:
            await conversation.hold(request)
        except BaseException:
            conversation.leave()
            socket.close()
            raise
        finally:
            self.conversations -= 1
        self._let_go(conversation, socket, kept)
        return turn

    async def probe(self) -> Verdict:
        """Open a socket and close it, without a message in between.

        A ping makes sure that AUI keeps it: a key may be refused after the upgrade.
        """
        turn = Turn("")
        socket = await self._open(turn, math.inf)
        if socket is None:
            return turn.verdict or COMPLETED
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await socket.ping()
            if not socket.is_open:
                await self._conversation(turn, socket, _not_relayed, math.inf).hold()
        except TimeoutError:
            turn.ended(Source.CONNECT_TIMEOUT, detail="AUI did not answer a ping")
        finally:
            socket.close()
        return turn.verdict or COMPLETED

    async def aclose(self) -> None:
        """Close every socket and wait until nothing is left of them (2 seconds at the most).

        Conversations are not told: end them before.
        """
        self._kept.shut()
        sockets = list(self._sockets)
        for socket in sockets:
            socket.close()
        await asyncio.gather(*(socket.closed() for socket in sockets))

    def _conversation(
        self, turn: Turn, socket: Socket, put: Callable[[Update], None], deadline: float
    ) -> Conversation:
        return Conversation(
            turn, socket, put, self._timeouts, deadline, self._redactor, self._alarms
        )

    async def _open(self, turn: Turn, deadline: float) -> Socket | None:
        now = asyncio.get_running_loop().time()
        by, source = sooner(now + self._timeouts.connect, Source.CONNECT_TIMEOUT, deadline)
        try:
            async with asyncio.timeout_at(by):
                return await self._opening.open()
        except TimeoutError:
            turn.ended(source, detail=f"no WebSocket within {by - now:.3g} s")
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
        except (OSError, WebSocketException, ValueError, ImportError, RuntimeError) as error:
            # RuntimeError: what uvloop says of a connection that is lost already.
            turn.ended(Source.CONNECTION_FAILED, detail=described(error, self._redactor))
        return None

    def _let_go(self, conversation: Conversation, socket: Socket, kept: Kept | None) -> None:
        """Keep the socket for the task's next message, if all was well, or close it."""
        turn = conversation.turn
        if conversation.went_well and turn.final is not None:
            self._kept.keep(turn.task_id, socket, turn.final.id)
            return
        socket.close()
        turn.stale = kept is not None and conversation.was_lost_unheard
        refused = turn.verdict is not None and turn.verdict.reason == "unauthorized"
        if turn.stale or refused:
            self._kept.clear()


def _not_relayed(_: Update) -> None:
    """A probe asks nothing, so what it hears is no answer."""
