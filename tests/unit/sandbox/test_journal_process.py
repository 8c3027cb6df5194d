"""A sandbox that is killed comes back from its journal, as a process of its own."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets import connect

from tests.unit.sandbox.client import MICROWAVE, ask, hear
from worker.sandbox import DEFAULT_API_KEY

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0


async def started(*options: str) -> asyncio.subprocess.Process:
    """``aui-worker sandbox OPTIONS``, on its way."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-m", "worker", "sandbox", *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """``aui-worker sandbox OPTIONS`` and its REST base URL; killed when the block ends."""
    process = await started(*options)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            told = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+", told)
        assert found is not None, told
        yield process, found[0]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def session(url: str) -> str:
    """The WebSocket URL to a base URL."""
    return (
        f"{url.replace('http', 'ws', 1)}/api/v1/external/session?network_api_key={DEFAULT_API_KEY}"
    )


async def history(url: str, task_id: str) -> list[tuple[str, str]]:
    """Who said what, as REST shows it."""
    async with httpx.AsyncClient(headers={"x-network-api-key": DEFAULT_API_KEY}) as http:
        shown = await http.get(f"{url}/api/v1/external/tasks/{task_id}/messages")
    return [(line["sender"]["type"], line["text"]) for line in shown.json()]


async def test_a_sandbox_killed_in_an_answer_comes_back_with_the_question(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    options = ("--journal", str(journal), "--port")
    async with serving(*options, "0", "--pace", "0.05") as (process, url):
        async with httpx.AsyncClient(headers={"x-network-api-key": DEFAULT_API_KEY}) as http:
            made = await http.post(f"{url}/api/v1/external/tasks", json={"user_id": "u"})
        task_id = made.json()["id"]
        async with connect(session(url)) as socket:
            await socket.send(json.dumps({"task_id": task_id, "text": MICROWAVE}))
            await socket.recv()
            process.kill()
            assert (await hear(socket)).lost
        await process.wait()

    port = url.split(":")[2].split("/")[0]
    async with serving(*options, port, "--pace", "0") as (_, again):
        assert again == url
        assert await history(url, task_id) == [("user", MICROWAVE)]
        async with connect(session(url)) as socket:
            heard = await ask(socket, task_id, MICROWAVE)
        assert [who for who, _ in await history(url, task_id)] == ["user", "user", "agent"]

    kept = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert [line["kind"] for line in kept] == ["task", "user", "user", "agent"]
    assert kept[-1]["answers"] == kept[-2]["message_id"] != kept[-3]["message_id"]
    assert kept[-1]["text"] == heard.final["text"]


@pytest.mark.parametrize(
    ("where", "code", "complaint"),
    [
        ("broken", 78, "is no journal, see line 1"),
        ("missing/journal", 1, "No such file or directory"),
    ],
)
async def test_a_journal_that_is_none_is_told_in_a_line(
    tmp_path: Path, where: str, code: int, complaint: str
) -> None:
    (tmp_path / "broken").write_text("once upon a time\n")
    process = await started("--port", "0", "--journal", str(tmp_path / where))
    async with asyncio.timeout(PATIENCE):
        _, errors = await process.communicate()
    assert process.returncode == code
    assert complaint in errors.decode()
    assert "Traceback" not in errors.decode()
