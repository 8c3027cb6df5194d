"""Every command of the README is run, as it stands there, in the order in which it stands there."""

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = [
    [line.split(" #")[0].strip() for line in block.splitlines() if line.split("#")[0].strip()]
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
]
INLINE = re.findall(r"`((?:aui-worker|scripts/|docker compose )[^`]*)`", README)
SANDBOX_PORT = "8090"
TESTED_ELSEWHERE = {
    "pip install .": "tests/integration/test_image.py builds the image with it",
    "scripts/test": "this is it",
    "scripts/chaos": "tests/chaos",
    "scripts/bench": "tests/integration/test_bench.py",
    "scripts/demo --live": "needs a key of AUI's",
    "scripts/demo bots": "tests/bots",
    "scripts/demo web": "tests/bots",
    "docker compose up": "tests/containers",
}


@pytest.fixture
def env(amqp_url: str) -> dict[str, str]:
    """Return the environment of a person in a checkout, with a broker at hand."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {
        "PATH": path,
        "AMQP_URL": amqp_url,
        "TEST_AMQP_URL": amqp_url,
        "WORKER_HTTP_PORT": "0",
        "COLUMNS": "120",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def port() -> str:
    """Return a free port for the sandbox: the README's own may be taken on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@asynccontextmanager
async def running(line: str, env: Mapping[str, str], until: str) -> AsyncIterator[str]:
    """Run a line of the README until it has said a word, and stop it with Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line),
        cwd=ROOT,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while until not in said:
                heard = await process.stdout.readline()
                assert heard, f"{line} ended without saying {until!r}: {said}"
                said += heard.decode()
        yield said
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            await process.communicate()


async def finished(line: str, env: Mapping[str, str], said: bytes = b"") -> str:
    """Run a line of the README to its end; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line),
        cwd=ROOT,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate(said)
    assert process.returncode == 0, f"{line}: {out.decode()}"
    return out.decode()


async def test_what_is_to_be_done_by_hand_works_by_hand(env: dict[str, str], port: str) -> None:
    install, sandbox, *exports, run, chat = BLOCKS[1]
    assert install == "pip install ."
    assert all(line.startswith("export ") for line in exports)
    theirs = [line.removeprefix("export ").replace(SANDBOX_PORT, port) for line in exports]
    env |= dict(line.split("=", 1) for line in theirs)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(f"{sandbox} --port {port}", env, port))
        await stack.enter_async_context(running(run, env, "ready"))
        assert "microwave" in await finished(chat, env, b"a microwave, please\n/quit\n")
        (tail,) = [line for line in INLINE if line.startswith("aui-worker tail")]
        (send,) = [line for line in INLINE if line.startswith("aui-worker send")]
        async with running(tail, env, "listening"):
            assert await finished(send, env)
        for line in ("aui-worker check", "aui-worker dead list"):
            await finished(line, env)


@pytest.mark.parametrize("line", ["aui-worker explain", "aui-worker topology"])
async def test_what_only_prints_prints(env: dict[str, str], line: str) -> None:
    assert line in INLINE
    assert await finished(line, env)


@pytest.mark.parametrize("line", ["scripts/demo", 'scripts/demo "my question"'])
async def test_the_demo_shows_a_job_that_ends(env: dict[str, str], line: str) -> None:
    assert line in [*BLOCKS[0], *INLINE]
    assert "final" in await finished(line, env)


def test_no_command_is_left_untried() -> None:
    """A command that is added here is to be run above, or to be named with who runs it."""
    tried = {*BLOCKS[1], *BLOCKS[2], "scripts/demo", 'scripts/demo "my question"'}
    tried |= {"aui-worker explain", "aui-worker topology", "aui-worker dead list"}
    tried |= {line for line in INLINE if line.startswith(("aui-worker tail", "aui-worker send"))}
    named = {line for block in BLOCKS for line in block} | set(INLINE)
    assert named - tried - set(TESTED_ELSEWHERE) == {"aui-worker dead"}
    assert [one for one in TESTED_ELSEWHERE if one not in named] == []


def test_every_link_leads_somewhere() -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README)]
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
