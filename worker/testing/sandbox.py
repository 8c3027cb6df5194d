"""A sandbox of AUI as a test sees it, in whatever thread, process or container it runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from worker.testing.requests import request

API_KEY = "API_KEY_testing"
"""The key of the sandboxes that the fixtures and containers run."""


@dataclass(frozen=True, slots=True)
class SandboxTask:
    """A conversation in the sandbox.

    Attributes:
        id: its id, the ``task_id`` of jobs.
        user_id: whose it is.
    """

    id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation.

    Attributes:
        id: its id.
        task_id: the conversation.
        user_id: whose conversation it is.
        created_at: when, ISO 8601 in UTC with milliseconds.
        sender: ``user`` or ``agent``.
        text: its text, a directive in front of it included.
        request: of a user's message, the whole object as AUI got it, ``context`` included.
    """

    id: str
    task_id: str
    user_id: str
    created_at: str
    sender: str
    text: str
    request: Mapping[str, Any] = field(repr=False)


class AuiSandbox:
    """Remote control of a sandbox; every method may be called from any thread, a loop's too.

    Args:
        url: where it listens, ``http://127.0.0.1:PORT``.
        api_key: the key that it accepts.
    """

    def __init__(self, url: str, api_key: str = API_KEY) -> None:
        self.url = url
        self.api_key = api_key
        self._old: frozenset[str] = frozenset()

    @property
    def base_url(self) -> str:
        """What ``AUI_BASE_URL`` is to be: ``http://127.0.0.1:PORT/api/ia-controller``."""
        return f"{self.url}/api/ia-controller"

    def create_task(self, user_id: str | None = None, task_id: str | None = None) -> SandboxTask:
        """Make a conversation, also while a fault has AUI's own API refuse that.

        Args:
            user_id: whose; a user nobody has heard of where it is not given.
            task_id: its id; a new one where it is not given.

        Raises:
            ValueError: there is one of that id.
        """
        user_id = user_id or f"user-{uuid.uuid4().hex[:12]}"
        made = self._do("tasks", "POST", {"user_id": user_id, "task_id": task_id})
        return SandboxTask(made["id"], made["user_id"])

    def messages(self, task: SandboxTask | str) -> list[Said]:
        """Return all that was said in a conversation, oldest first.

        Args:
            task: the conversation, or its id.
        """
        task_id = task if isinstance(task, str) else task.id
        return self._said(f"?task_id={quote(task_id, safe='')}")

    @property
    def user_messages(self) -> list[Said]:
        """What users said since the last :meth:`reset`, so in this test, oldest first."""
        return [
            line for line in self._said("") if line.sender == "user" and line.id not in self._old
        ]

    def scenario(self, name: str, **parameters: str | float) -> None:
        """Have every message from now on met so, unless it orders something else itself.

        Args:
            name: one of `worker.sandbox.SCENARIOS`, like ``1011``, ``400`` or ``silence``.
            parameters: its parameters, for example ``after=3`` updates, and ``times=2``: only the
                first two times that a text comes in a task, so that a third attempt is answered.

        Raises:
            ValueError: there is no such scenario, or no such parameter; says which there are.
        """
        self.fault(scenario=directive(name, **parameters))

    def fault(self, **orders: Mapping[str, Any] | str) -> None:
        """Order misbehaviour before any text, for example ``fault(upgrade={"status": 429})``.

        Args:
            orders: ``connect`` knows ``delay`` (seconds, 3), ``upgrade`` and ``rest`` know
                ``status`` (503) and ``retry_after`` (seconds, none), ``answer`` knows ``code``
                (1011), all know ``times`` (always).

        Raises:
            ValueError: there is no such fault, or it knows no such thing.
        """
        self._do("faults", "POST", orders)

    def clear_faults(self) -> None:
        """Forget every fault and the scenario."""
        self._do("faults", "DELETE")

    def reset(self) -> None:
        """Forget every fault and the scenario, and begin a new list of :attr:`user_messages`.

        Conversations stay: a worker may still have to do with one of them.
        """
        self.clear_faults()
        self._old = frozenset(line.id for line in self._said(""))

    def state(self) -> dict[str, Any]:
        """Return counts: `open_sockets`, `running_turns`, `tasks`, `user_messages`; `faults`."""
        told: dict[str, Any] = self._do("state")
        return told

    def _said(self, query: str) -> list[Said]:
        return [Said(**line) for line in self._do(f"messages{query}")]

    def _do(self, path: str, method: str = "GET", body: object = None) -> Any:
        status, told = request(f"{self.url}/sandbox/{path}", method, body)
        if status != 200:
            raise ValueError(told["detail"])
        return told


def directive(name: str, text: str = "", /, **parameters: str | float) -> str:
    """Return the text that orders a scenario for itself: ``!1011 after=3 | hello``.

    Args:
        name: the scenario, one of `worker.sandbox.SCENARIOS`.
        text: what the agent is to answer, once it does.
        parameters: the scenario's own.
    """
    words = [f"!{name}", *(f"{key}={value}" for key, value in parameters.items())]
    return " | ".join([" ".join(words), text] if text else [" ".join(words)])


@contextmanager
def running_sandbox(api_key: str = API_KEY, word_delay: float = 0.0) -> Iterator[AuiSandbox]:
    """Run a sandbox in a thread of its own, on a free loopback port.

    Args:
        api_key: the key to accept.
        word_delay: seconds between two words of an answer.
    """
    from anyio.from_thread import start_blocking_portal

    from worker.sandbox import Sandbox

    sandbox = Sandbox(api_key=api_key, word_delay=word_delay)
    with start_blocking_portal("asyncio") as portal:
        portal.call(sandbox.start)
        try:
            yield AuiSandbox(f"http://127.0.0.1:{sandbox.port}", api_key)
        finally:
            portal.call(sandbox.stop)
