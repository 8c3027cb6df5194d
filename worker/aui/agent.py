"""AUI as the flow sees it: the WebSocket sessions and the REST API of one network."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from worker.aui.network import Network
from worker.aui.posting import post
from worker.aui.rest import Rest
from worker.aui.timeouts import Timeouts
from worker.aui.websocket import Sessions
from worker.core.conversation import PAGE_SIZE, Task, TaskPage
from worker.core.redact import Redactor
from worker.core.said import Said
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Kind, Verdict


class AuiAgent:
    """Implements :class:`worker.relay.ports.Agent`; close it with :meth:`aclose`."""

    def __init__(
        self, network: Network, timeouts: Timeouts, max_bytes: int, redactor: Redactor
    ) -> None:
        self._timeouts = timeouts
        self.rest = Rest(network, timeouts.connect, timeouts.first_text, redactor)
        self._sessions = Sessions(network, timeouts, max_bytes, redactor)

    @property
    def conversations(self) -> int:
        """WebSockets with a turn on them."""
        return self._sessions.conversations

    @property
    def sockets_kept(self) -> int:
        """WebSockets kept for the next turn of their task."""
        return self._sessions.kept

    def converse(
        self, task_id: str, request: bytes, deadline: float, put: Callable[[Update], None]
    ) -> Coroutine[Any, Any, Turn]:
        """Hold one attempt at a turn over the task's WebSocket."""
        return self._sessions.converse(task_id, request, deadline, put)

    async def post(self, task_id: str, request: bytes, deadline: float) -> Turn:
        """Hold one attempt at a turn over REST."""
        return await post(self.rest, self._timeouts, task_id, request, deadline)

    async def create_task(self, user_id: str) -> Task:
        """Create a task."""
        return await self.rest.create_task(user_id)

    async def list_tasks(self, user_id: str, page: int = 1, size: int = PAGE_SIZE) -> TaskPage:
        """Return one page of a user's tasks."""
        return await self.rest.list_tasks(user_id, page, size)

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        """Return what was said in a task, oldest first."""
        return await self.rest.task_messages(task_id)

    async def probe(self) -> Verdict:
        """Ask whether AUI is there and takes our key: over REST, then over the WebSocket."""
        verdict = await self.rest.probe()
        return await self._sessions.probe() if verdict.kind is Kind.COMPLETED else verdict

    async def aclose(self) -> None:
        """Close every connection."""
        await self._sessions.aclose()
        await self.rest.aclose()
