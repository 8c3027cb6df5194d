"""The sandbox as a whole: an AUI of one's own, in the caller's event loop or as a program."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from worker.sandbox.admin import Admin
from worker.sandbox.backend import PREFIXES, Backend
from worker.sandbox.dialect import DialectName
from worker.sandbox.routes import application
from worker.sandbox.store import Store, Task
from worker.sandbox.uvicorn_server import Server

DEFAULT_API_KEY = "API_KEY_sandbox"


class Sandbox:
    """A faithful AUI Messaging API v1 on one address, misbehaving on demand.

    `async with Sandbox(api_key="…", word_delay=0) as sandbox:` serves until the block ends; it
    can be entered again and then keeps its address, its tasks and its faults. It installs no
    signal handler and no log configuration.

    `dialect` is how it speaks (`docs` as the documents, `sdk` as AUI's SDK), `word_delay` the
    seconds between words, `port` 0 any free one. `newest_first` orders the task list, which no
    document does. `journal` is a file that remembers tasks and messages for the next sandbox on
    it (`worker.sandbox.journal`); OSError when it cannot be had, ValueError when it is none.
    Entering raises OSError when the address is taken.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        dialect: DialectName = "docs",
        word_delay: float = 0.04,
        host: str = "127.0.0.1",
        port: int = 0,
        newest_first: bool = True,
        journal: Path | None = None,
    ) -> None:
        self._backend = Backend(
            api_key, dialect, word_delay, newest_first=newest_first, journal=journal
        )
        admin = Admin(self._backend.faults, self.store, self.state)
        self._server = Server(application(self._backend, admin), host, port)

    @property
    def base_url(self) -> str:
        """The REST base URL, `http://127.0.0.1:PORT/api/ia-controller`; known once started."""
        return f"http://{self._server.address}{PREFIXES[0]}"

    @property
    def ws_url(self) -> str:
        """The session's whole URL, `ws://127.0.0.1:PORT/…/api/v1/external/session`, keyless."""
        return f"ws://{self._server.address}{PREFIXES[0]}/api/v1/external/session"

    @property
    def admin_url(self) -> str:
        """The base of the sandbox's own routes, `http://127.0.0.1:PORT/sandbox`."""
        return f"http://{self._server.address}/sandbox"

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._server.port

    @property
    def store(self) -> Store:
        """Every task and message; to be read, and seeded with `create_task`."""
        return self._backend.store

    @property
    def api_keys(self) -> set[str]:
        """The keys it accepts; take one out to revoke it, put one in to issue it."""
        return self._backend.api_keys

    def create_task(self, user_id: str, task_id: str | None = None) -> Task:
        """A new task without a REST call; ValueError when `task_id` is taken."""
        return self.store.create_task(user_id, task_id)

    def fault(
        self,
        *,
        connect: Mapping[str, Any] | None = None,
        upgrade: Mapping[str, Any] | None = None,
        rest: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        """What `POST /sandbox/faults` does, for example `fault(upgrade={"status": 429})`.

        `connect` knows `delay` (seconds, 3), `upgrade` and `rest` know `status` (503) and
        `retry_after` (seconds, none), `answer` knows `code` (1011), all know `times` (always).
        ValueError for anything else.
        """
        orders = {"connect": connect, "upgrade": upgrade, "rest": rest, "answer": answer}
        self._backend.faults.order({k: v for k, v in orders.items() if v is not None})

    def scenario(self, directive: str) -> None:
        """Has every message obey a directive, `!1011 after=3`, that has none of its own.

        It stands until the faults are cleared. ValueError when it makes no sense.
        """
        self._backend.faults.order({"scenario": directive})

    def clear_faults(self) -> None:
        """What `DELETE /sandbox/faults` does."""
        self._backend.faults.clear()

    def state(self) -> dict[str, Any]:
        """Counts: `open_sockets`, `running_turns`, `tasks`, `user_messages`; and `faults`."""
        return {
            "open_sockets": self._server.open_sockets,
            "running_turns": self._backend.turns.running,
            "tasks": len(self.store.tasks),
            "user_messages": len(self.store.user_messages()),
            "faults": self._backend.faults.as_json(),
        }

    async def start(self) -> None:
        """Listens; OSError when the address is taken."""
        await self._server.start()

    async def stop(self) -> None:
        """Closes every connection (1012) and ends every turn; a second stop does nothing."""
        await self._server.stop()

    async def run_forever(self, started: Callable[["Sandbox"], None] | None = None) -> None:
        """Serves until SIGINT or SIGTERM, then stops at once; `started` is told the address.

        For a program that is nothing but the sandbox: the main thread's signal handlers are
        its own while it runs.
        """
        stopping = asyncio.Event()
        with _signals_to(stopping.set):
            async with self:
                if started is not None:
                    started(self)
                await stopping.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


@contextmanager
def _signals_to(callback: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, callback)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
