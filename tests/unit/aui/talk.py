"""A conversation held from beginning to end, and what was heard of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from websockets.asyncio.client import ClientConnection

from tests.unit.aui.servers import KEY, REDACTOR
from worker.aui.alarms import Alarms
from worker.aui.kept import KeptSockets
from worker.aui.network import Network
from worker.aui.proxied import ProxiedSocket
from worker.aui.timeouts import Timeouts
from worker.aui.websocket import Sessions
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Verdict
from worker.sandbox import Sandbox

GENEROUS = Timeouts(connect=5.0, first_text=5.0, idle=5.0)
MAX_BYTES = 1024 * 1024
_TIMED = [kind.__name__ for kind in (Alarms, KeptSockets)]


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


def network_of(sandbox: Sandbox, keep: float = 0.0) -> Network:
    """Return a network of that sandbox, with a key that is hard to spell."""
    sandbox.api_keys.add(KEY)
    return Network("default", KEY, sandbox.base_url, keep_socket=keep)


def keeping(network: Network, seconds: float = 60.0) -> Network:
    """Return the network with sockets that are kept."""
    return replace(network, keep_socket=seconds)


@asynccontextmanager
async def sessions_of(
    network: Network, *, timeouts: Timeouts = GENEROUS, max_bytes: int = MAX_BYTES
) -> AsyncIterator[Sessions]:
    """Lend the sessions of a network; fails if they leave a task or a timer behind."""
    sessions = Sessions(network, timeouts, max_bytes, REDACTOR)
    try:
        yield sessions
    finally:
        await sessions.aclose()
    assert left_behind() == []


async def hear(
    sessions: Sessions,
    request: bytes | None = None,
    *,
    deadline: float = 10.0,
    put: Callable[[Update], None] | None = None,
) -> Heard:
    """Send a request and listen to the end; the deadline is in seconds from now."""
    request = request or request_of("task_1", "hello")
    texts: list[str] = []

    def take(update: Update) -> None:
        texts.append(update.text)
        if put is not None:
            put(update)

    by = asyncio.get_running_loop().time() + deadline
    turn = await sessions.converse(json.loads(request)["task_id"], request, by, take)
    return Heard(turn, texts)


async def talk(
    network: Network,
    request: bytes | None = None,
    *,
    timeouts: Timeouts = GENEROUS,
    deadline: float = 10.0,
    max_bytes: int = MAX_BYTES,
    put: Callable[[Update], None] | None = None,
) -> Heard:
    """Send a request over a socket of its own, and listen to the end."""
    async with sessions_of(network, timeouts=timeouts, max_bytes=max_bytes) as sessions:
        return await hear(sessions, request, deadline=deadline, put=put)


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


def left_behind() -> list[str]:
    """Name the tasks and timers of client sockets: servers on the same loop have some, too."""
    timers: list[asyncio.TimerHandle] = vars(asyncio.get_running_loop()).get("_scheduled", [])
    told = [repr(timer) for timer in timers if not timer.cancelled()]
    tasks = [repr(task) for task in asyncio.all_tasks() if _is_ours(task)]
    return tasks + [timer for timer in told for name in _TIMED if f" {name}." in timer]


def _is_ours(task: "asyncio.Task[object]") -> bool:
    frame = getattr(task.get_coro(), "cr_frame", None)
    owner = None if frame is None else frame.f_locals.get("self")
    return isinstance(owner, ClientConnection | ProxiedSocket)
