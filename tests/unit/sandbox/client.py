"""A WebSocket client for the sandbox's tests: it says one thing and keeps all it hears."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from websockets import ClientConnection, ConnectionClosed, connect

from worker.sandbox import Sandbox

KEY = "API_KEY_t/st+1"
"""A key that must be percent-encoded in a query, and so can leak in two spellings."""

QUERY = "network_api_key=API_KEY_t%2Fst%2B1"
MICROWAVE = "I am looking for a built-in microwave with at least 20 liters capacity"


@dataclass
class Heard:
    """What came back: raw frames, and how the connection ended if it did.

    `code` is the code in the server's close frame; None while open, and for a connection that
    was lost without one (then `lost` is the reason).
    """

    raw: list[str] = field(default_factory=list)
    code: int | None = None
    lost: BaseException | None = None

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The frames as JSON; fails on one that is not."""
        return [json.loads(frame) for frame in self.raw]

    @property
    def texts(self) -> list[str]:
        """The text of each update, in order."""
        return [frame["data"]["text"] for frame in self.frames if "text" in frame.get("data", ())]

    @property
    def final(self) -> dict[str, Any]:
        """The last frame, which must be an ExternalTaskMessage."""
        last = self.frames[-1]
        assert {"id", "created_at", "text", "sender", "receiver"} <= last.keys()
        return last

    @property
    def error(self) -> dict[str, Any]:
        """The last frame, which must be an error payload."""
        last = self.frames[-1]
        assert set(last) == {"status_code", "description", "message", "extra_data"}
        return last


def is_final(frame: str) -> bool:
    """Whether a raw frame is an ExternalTaskMessage."""
    return '"sender"' in frame


class Client:
    """Talks to one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def connect(
        self, query: str = QUERY, *, uri: str = "", **options: Any
    ) -> AbstractAsyncContextManager[Any]:
        """A connection, by default with the right key in the query and no size limit."""
        url = uri or f"{self.sandbox.ws_url}?{query}"
        return connect(url, **{"max_size": None, "open_timeout": 10, **options})

    async def ask(self, task_id: str, text: str, **fields: Any) -> Heard:
        """Says one thing on a fresh connection and listens until the final or the end."""
        async with self.connect() as socket:
            return await ask(socket, task_id, text, **fields)


async def ask(socket: ClientConnection, task_id: str, text: str, **fields: Any) -> Heard:
    """Says one thing and listens until the final or the end of the connection."""
    await socket.send(json.dumps({"task_id": task_id, "text": text, **fields}))
    return await hear(socket)


async def hear(socket: ClientConnection) -> Heard:
    """Listens until the final or the end of the connection."""
    heard = Heard()
    try:
        async with asyncio.timeout(20):
            while not (heard.raw and is_final(heard.raw[-1])):
                heard.raw.append(str(await socket.recv()))
    except ConnectionClosed as closed:
        heard.code = closed.rcvd.code if closed.rcvd else None
        heard.lost = None if closed.rcvd else closed.__cause__ or closed
    return heard


def served() -> int:
    """How many requests and sessions of a server are in this event loop."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return sum(getattr(one, "__name__", "") == "run_asgi" for one in coroutines)


async def until(holds: Callable[[], bool]) -> None:
    """Waits until a condition holds; gives up with a TimeoutError after 20 seconds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - the condition belongs to a server, not to us
            await asyncio.sleep(0.002)
