"""A conversation held from beginning to end, and what was heard of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection

from tests.unit.aui.servers import KEY, REDACTOR
from worker.aui.network import Network
from worker.aui.websocket import Sessions, SocketConversation, Timeouts
from worker.core.turn import Turn
from worker.core.verdict import Verdict
from worker.sandbox import Sandbox

GENEROUS = Timeouts(connect=5.0, first_text=5.0, idle=5.0)
MAX_BYTES = 1024 * 1024


@dataclass
class Heard:
    """The texts that came, and how it ended."""

    turn: Turn
    texts: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The verdict, which there must be."""
        assert self.turn.verdict is not None
        return self.turn.verdict


def request_of(task_id: str, text: str, **more: object) -> bytes:
    """Return a request."""
    return json.dumps({"task_id": task_id, "text": text, **more}).encode()


def network_of(sandbox: Sandbox) -> Network:
    """Return a network of that sandbox, with a key that is hard to spell."""
    sandbox.api_keys.add(KEY)
    return Network("default", KEY, sandbox.base_url)


@asynccontextmanager
async def conversation(
    network: Network,
    request: bytes,
    *,
    timeouts: Timeouts = GENEROUS,
    deadline: float = 10.0,
    max_bytes: int = MAX_BYTES,
) -> AsyncIterator[SocketConversation]:
    """Converse; the deadline is in seconds from now. Fails if a task is left behind."""
    sessions = Sessions(network, timeouts, max_bytes, REDACTOR)
    by = asyncio.get_running_loop().time() + deadline
    try:
        async with sessions.converse(json.loads(request)["task_id"], request, by) as talking:
            yield talking
    finally:
        await sessions.aclose()
    assert not client_tasks()


async def talk(
    network: Network,
    request: bytes | None = None,
    *,
    timeouts: Timeouts = GENEROUS,
    deadline: float = 10.0,
    max_bytes: int = MAX_BYTES,
    pause: float = 0.0,
) -> Heard:
    """Send a request and listen to the end, `pause` seconds late each time."""
    request = request or request_of("task_1", "hello")
    async with conversation(
        network, request, timeouts=timeouts, deadline=deadline, max_bytes=max_bytes
    ) as talking:
        heard = Heard(talking.turn)
        await asyncio.sleep(pause)
        async for update in talking:
            heard.texts.append(update.text)
            await asyncio.sleep(pause)
    return heard


async def ask(
    sandbox: Sandbox,
    text: str,
    *,
    timeouts: Timeouts = GENEROUS,
    deadline: float = 10.0,
    max_bytes: int = MAX_BYTES,
) -> Heard:
    """Ask a sandbox, in a task of its own."""
    request = request_of(sandbox.create_task("user_1").id, text)
    return await talk(
        network_of(sandbox), request, timeouts=timeouts, deadline=deadline, max_bytes=max_bytes
    )


def client_tasks() -> list["asyncio.Task[object]"]:
    """Return the tasks of client sockets: servers on the same loop have tasks too."""
    return [task for task in asyncio.all_tasks() if isinstance(_owner(task), ClientConnection)]


def _owner(task: "asyncio.Task[object]") -> object:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return None if frame is None else frame.f_locals.get("self")
