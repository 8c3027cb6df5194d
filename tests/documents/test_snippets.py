"""The documents' own snippets run against the sandbox, nothing changed but host and key.

`snippets/<page>-<what>.<language>` is a snippet of one of AUI's pages, word for word (only the
indentation its page nests it in is gone). What a snippet prints is compared with what the page
says it would.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
KEY = "API_KEY_documents"
TASK = "68e78d0dc5a4b19a030d03d6"
ANSWER = "I found several built-in microwaves with 20+ liters capacity."
SUGGESTIONS = [
    "What is the price range?",
    "Do any of these come in stainless steel?",
    "Which one has the best energy rating?",
]
STANDARD_INPUT = {
    "curl": ["bash"],
    "python": [sys.executable, "-u", "-"],
    # A page's fragment may await at its top level; the one that requires ws may not.
    "node": ["node", "--input-type=module", "-"],
    "node-ws": ["node", "--input-type=commonjs", "-"],
}


@pytest.fixture
def anyio_backend() -> str:
    """The sandbox is asyncio's."""
    return "asyncio"


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A sandbox that knows the documents' task."""
    async with Sandbox(api_key=KEY, word_delay=0) as running:
        running.create_task("user_123", task_id=TASK)
        yield running


@cache
def install_ws() -> None:
    """Puts the npm package `ws` where the snippets find it, as the lock file names it."""
    if not (HERE / "node_modules" / "ws").is_dir():
        need("npm")
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True)


def need(program: str) -> None:
    """Fails without a program, saying so."""
    if shutil.which(program) is None:
        pytest.fail(f"the documents' snippets need {program}, which is not installed")


def snippet(name: str, sandbox: Sandbox, key: str = KEY) -> str:
    """A snippet's text with the sandbox's host and key in it."""
    text = (HERE / "snippets" / name).read_text()
    address = f"127.0.0.1:{sandbox.port}"
    changed = (
        text.replace("https://data-services.aui.io", f"http://{address}")
        .replace("wss://data-services.aui.io", f"ws://{address}")
        .replace("your-api-key", key)
    )
    assert address in changed
    assert key in changed
    return changed


@asynccontextmanager
async def running(language: str, source: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A snippet running, killed at the end if it runs still."""
    command = STANDARD_INPUT[language]
    need(command[0])
    if language == "node-ws":
        install_ws()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=HERE,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdin
        process.stdin.write(source.encode())
        process.stdin.write_eof()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def printed(language: str, source: str) -> str:
    """What a snippet prints until it ends, which it must do well."""
    async with running(language, source) as process:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def printed_until_final(language: str, source: str) -> tuple[list[str], str]:
    """The texts a WebSocket snippet prints one over the other, and the final it prints then."""
    out = b""
    async with running(language, source) as process:
        assert process.stdout
        async with asyncio.timeout(30):
            while not (b"followup_suggestions" in out and out.endswith(b"}\n")):
                more = await process.stdout.read(65536)
                assert more, (await process.communicate())[1].decode()
                out += more
    streamed, final = out.decode().split("\n", 1)
    return [text for text in streamed.split("\r") if text.strip()], final


def objects(text: str) -> Iterator[Any]:
    """The JSON values in a text, one after another."""
    while text := text.strip():
        value, end = json.JSONDecoder().raw_decode(text)
        text = text[end:]
        yield value


def is_sample_answer(message: dict[str, Any]) -> bool:
    """Whether a message is the agent's answer in the documents' shape."""
    return (
        message["text"].startswith(ANSWER)
        and message["sender"]["type"] == "agent"
        and message["followup_suggestions"] == SUGGESTIONS
        and len(message["options"]) == 3
        and message["variants_options"] == []
    )


async def test_the_overviews_quick_start_creates_a_task_and_gets_an_answer(
    sandbox: Sandbox,
) -> None:
    task, answer = objects(await printed("curl", snippet("overview.curl", sandbox)))
    assert task["id"] in sandbox.store.tasks
    assert is_sample_answer(answer)


@pytest.mark.parametrize(
    "name", ["messages-send.curl", "messages-send-context.curl", "messages-api-send.curl"]
)
async def test_curl_gets_the_agents_answer(sandbox: Sandbox, name: str) -> None:
    [answer] = objects(await printed("curl", snippet(name, sandbox)))
    assert is_sample_answer(answer)
    [question] = sandbox.store.user_messages(TASK)
    assert ("context" in question.request) == (name != "messages-send.curl")


@pytest.mark.parametrize("language", ["python", "node"])
async def test_a_program_gets_the_agents_answer(sandbox: Sandbox, language: str) -> None:
    source = snippet(f"messages-send.{language}", sandbox)
    text, suggestions = (await printed(language, source)).split("\n", 1)
    assert text.startswith(ANSWER)
    assert all(suggestion in suggestions for suggestion in SUGGESTIONS)


async def test_curl_creates_a_task(sandbox: Sandbox) -> None:
    [task] = objects(await printed("curl", snippet("tasks-create.curl", sandbox)))
    assert task["user_id"] == "user_123"
    assert task["title"] == "New Conversation"
    assert len(task["followup_suggestions"]) == 3


async def test_node_creates_a_task(sandbox: Sandbox) -> None:
    lines = (await printed("node", snippet("tasks-create.node", sandbox))).splitlines()
    assert lines[0] in sandbox.store.tasks
    assert lines[1].startswith("Hi! I'm here to help you find the perfect product.")


async def test_curl_lists_the_tasks_of_a_user(sandbox: Sandbox) -> None:
    [listed] = objects(await printed("curl", snippet("tasks-list.curl", sandbox)))
    assert [task["id"] for task in listed["tasks"]] == [TASK]
    assert (listed["total"], listed["page"], listed["size"]) == (1, 1, 10)


async def test_node_lists_the_tasks_of_a_user(sandbox: Sandbox) -> None:
    for _ in range(23):
        sandbox.create_task("user_123")
    assert await printed("node", snippet("tasks-list.node", sandbox)) == "24 tasks found\n"


@pytest.mark.parametrize("language", ["curl", "node"])
async def test_the_history_shows_both_sides(sandbox: Sandbox, language: str) -> None:
    await printed("curl", snippet("messages-send.curl", sandbox))
    history = await printed(language, snippet(f"tasks-messages.{language}", sandbox))
    if language == "curl":
        [messages] = objects(history)
        history = "".join(f"[{one['sender']['type']}] {one['text']}\n" for one in messages)
    user, agent = history.splitlines()
    assert user == ("[user] I am looking for a built-in microwave with at least 20 liters capacity")
    assert agent.startswith(f"[agent] {ANSWER}")


@pytest.mark.parametrize(("name", "language"), [("python", "python"), ("node", "node-ws")])
async def test_the_websocket_streams_growing_text_and_then_the_final(
    sandbox: Sandbox, name: str, language: str
) -> None:
    source = snippet(f"websocket.{name}", sandbox)
    texts, final = await printed_until_final(language, source)
    said = sandbox.store.tasks[TASK].messages[-1].text
    assert texts[0] == "I"
    assert texts[-1] == said
    assert texts == sorted(texts, key=len)
    assert all(said.startswith(text) for text in texts)
    assert "sender" in final
    assert all(suggestion in final for suggestion in SUGGESTIONS)


async def test_a_wrong_key_closes_the_websocket_with_1008(sandbox: Sandbox) -> None:
    out = await printed("node-ws", snippet("websocket.node", sandbox, key="wrong"))
    assert "Invalid API key" in out
    assert out.endswith("Connection closed: 1008 \n")
