"""What both fake providers are: a server that takes messages, and fails when it is told to."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import uvicorn
from starlette.types import ASGIApp

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that fails.

    Attributes:
        status: the HTTP status it is answered with.
        code: the provider's own error code.
        retry_after: seconds that it asks for.
    """

    status: int
    code: int = 0
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class FakeProvider(Generic[Message]):
    """Keeps what it takes.

    Attributes:
        taken: the messages, in the order in which they were taken.
        troubles: what the next requests fail with.
        answering: cleared, it takes messages and does not say so.
    """

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.troubles: deque[Trouble] = deque()
        self.answering = asyncio.Event()
        self.answering.set()
        self._stirred = asyncio.Condition()

    async def take(self, message: Message) -> None:
        """Take a message, and wait until that may be said."""
        async with self._stirred:
            self.taken.append(message)
            self._stirred.notify_all()
        await self.answering.wait()

    async def until(self, enough: Callable[[list[Message]], bool], patience: float = 30.0) -> None:
        """Wait until what it took is enough; TimeoutError after so many seconds."""
        async with asyncio.timeout(patience), self._stirred:
            await self._stirred.wait_for(lambda: enough(self.taken))


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback; yields its URL."""
    server = _Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    try:
        await server.listening.wait()
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await serving


class _Server(uvicorn.Server):
    """One server of several in a program, which leaves the signals to the program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
