"""AUI's REST endpoints: create, list and read tasks, and send a message whole.

Sources: AUI's "Tasks" and "Messages" pages. The key travels in the ``x-network-api-key``
header, never in a URL, which httpx logs.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx

from worker.aui.evidence import described, of_response
from worker.aui.network import KEY_HEADER, Network
from worker.core.body import is_word
from worker.core.conversation import PAGE_SIZE, Task, TaskPage
from worker.core.errors import AgentUnavailable
from worker.core.redact import Redactor
from worker.core.said import Said, read_history
from worker.core.verdict import COMPLETED, Kind, Source, Verdict, judge
from worker.core.wire import Final, read_message

PROBE_USER = "aui-worker-probe"
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_UNBOUNDED = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""How many turns are open is bounded elsewhere; a read shall not wait for theirs."""
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A history is as long as its conversation; beyond this something is wrong."""


class Rest:
    """The REST API of one network.

    Args:
        network: where, and with which key.
        timeout: seconds for connecting, and for each wait on the response.
        answer_timeout: seconds that a call may take in all.
        redactor: applied to every response.
    """

    def __init__(
        self, network: Network, timeout: float, answer_timeout: float, redactor: Redactor
    ) -> None:
        self._network = network
        self._redactor = redactor
        self._timeout = timeout
        self._answer_timeout = answer_timeout
        self._client = httpx.AsyncClient(
            base_url=network.base_url.rstrip("/") + "/api/v1/external",
            headers={KEY_HEADER: network.api_key},
            timeout=timeout,
            limits=_UNBOUNDED,
            verify=network.trust.context(),
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the pooled connections."""
        await self._client.aclose()

    async def create_task(self, user_id: str) -> Task:
        """``POST /tasks``: start a conversation.

        Raises:
            AgentUnavailable: AUI did not say that it was created.
        """
        body = {"user_id": user_id}
        if self._network.task_origin_type is not None:
            body["task_origin_type"] = self._network.task_origin_type
        raw = await self._call("POST", "/tasks", json=body)
        return self._task(_parsed(raw), raw)

    async def list_tasks(self, user_id: str, page: int = 1, size: int = PAGE_SIZE) -> TaskPage:
        """``GET /tasks``: one page of a user's tasks, in whatever order AUI keeps.

        Raises:
            AgentUnavailable: the list was not to be had.
        """
        params: dict[str, str | int] = {"user_id": user_id, "page": page, "size": size}
        raw = await self._call("GET", "/tasks", params=params)
        listing = _parsed(raw)
        rows = listing.get("tasks") if isinstance(listing, dict) else None
        if not isinstance(rows, list):
            raise _unreadable("a list of tasks without tasks")
        tasks = [self._task(row, json.dumps(row).encode("utf-8")) for row in rows]
        total, told = listing.get("total"), listing.get("size")
        return TaskPage(
            tasks=tasks,
            total=total if isinstance(total, int) else len(tasks),
            size=told if isinstance(told, int) and told > 0 else size,
            raw=raw,
        )

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        """``GET /tasks/{task_id}/messages``: what was said, oldest first.

        Raises:
            AgentUnavailable: the history was not to be had.
        """
        raw = await self._call("GET", f"/tasks/{quote(task_id, safe='')}/messages")
        history = read_history(raw)
        if history is None:
            raise _unreadable("a history that is no list")
        return history

    async def send_message(self, request: bytes, within: float) -> Final:
        """``POST /message``: send a message and wait for the whole answer.

        Args:
            request: the JSON body, as for the WebSocket.
            within: seconds that it may take.

        Raises:
            AgentUnavailable: no answer came; the message may have reached AUI.
        """
        raw = await self._call(
            "POST",
            "/message",
            content=request,
            headers={"Content-Type": "application/json"},
            within=within,
        )
        answer = read_message(raw)
        if answer is None:
            raise _unreadable("an answer that is no message")
        return answer

    async def probe(self) -> Verdict:
        """``GET /tasks`` of nobody: is AUI there, and does it take the key?

        Returns:
            completed when it answered; a refusal of what was asked is an answer too.
        """
        try:
            await self.list_tasks(PROBE_USER)
        except AgentUnavailable as error:
            return COMPLETED if _is_answer(error.verdict) else error.verdict
        return COMPLETED

    async def _call(
        self, method: str, path: str, *, within: float | None = None, **options: Any
    ) -> bytes:
        """Make a call and return the body of its response, redacted.

        Args:
            method: of HTTP.
            path: below the base of the API.
            within: seconds until an agent has answered; None for what no agent is asked for.
            options: as for httpx.

        Raises:
            AgentUnavailable: it did not succeed.
        """
        if within is not None:
            options["timeout"] = httpx.Timeout(self._timeout, read=within)
        try:
            # httpx bounds each read; a response that drips in could still take for ever.
            async with (
                asyncio.timeout(within or self._answer_timeout),
                self._client.stream(method, path, **options) as response,
            ):
                body = self._redactor.data(await _read(response))
        except _NOT_REACHED as error:
            slow = isinstance(error, httpx.TimeoutException)
            source = Source.CONNECT_TIMEOUT if slow else Source.CONNECTION_FAILED
            raise _failed(source, described(error, self._redactor), reached=False) from None
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _failed(Source.IDLE_TIMEOUT, described(error, self._redactor)) from None
        except (httpx.HTTPError, httpx.InvalidURL, AttributeError, RuntimeError) as error:
            # The last two: anyio asks a connection for its socket that is lost already (uvloop).
            raise _failed(Source.CONNECTION_FAILED, described(error, self._redactor)) from None
        if response.is_success:
            return body
        retry_after = response.headers.get("Retry-After")
        raise AgentUnavailable(
            of_response(response.status_code, body, retry_after, time.time(), self._redactor)
        )

    def _task(self, row: object, raw: bytes) -> Task:
        task_id = row.get("id") if isinstance(row, dict) else None
        if not isinstance(task_id, str) or not is_word(task_id):
            raise _unreadable("a task without a usable id")
        return Task(id=task_id, raw=raw)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _failed(Source.LOCAL_CLOSE, f"more than {MAX_BODY_BYTES} bytes", code=1009)
    return bytes(body)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise _unreadable("a body that is no JSON") from None


def _is_answer(verdict: Verdict) -> bool:
    refused = verdict.kind is Kind.REJECTED and verdict.source is Source.STATUS
    return refused and verdict.reason != "unauthorized"


def _unreadable(what: str) -> AgentUnavailable:
    return _failed(Source.GARBAGE_FRAME, f"AUI sent {what}")


def _failed(
    source: Source, detail: str, code: int | None = None, *, reached: bool = True
) -> AgentUnavailable:
    return AgentUnavailable(judge(source, code, detail=detail), reached=reached)
