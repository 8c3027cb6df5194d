"""The product's commands as processes of their own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from harness import CANARY

from worker.sandbox import Sandbox

PATIENCE = 30.0


def environment(amqp_url: str, sandbox: Sandbox | None = None, **more: str) -> dict[str, str]:
    """Return a clean environment for a command."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = kept | {"AMQP_URL": amqp_url, "PYTHONPATH": os.getcwd(), "COLUMNS": "120"}
    env |= {"WORKER_HTTP_HOST": "127.0.0.1", "WORKER_HTTP_PORT": "0"} | more
    if sandbox is not None:
        env["AUI_BASE_URL"] = sandbox.base_url
    return env


def serving(network: str, amqp_url: str, sandbox: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a worker that serves one network of the sandbox."""
    key = {f"AUI_NETWORKS__{network.upper()}__API_KEY": CANARY}
    return environment(amqp_url, sandbox, **({"WORKER_PARTITIONS": "2"} | key | more))


async def start(*words: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start ``aui-worker WORDS``, its output in pipes."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "default",
        "-m",
        "worker",
        *words,
        env=dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(*words: str, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Run ``aui-worker WORDS`` to its end; return exit code, output and errors."""
    process = await start(*words, env=env)
    try:
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


@asynccontextmanager
async def running(
    *words: str, env: Mapping[str, str], until: str = "ready"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``aui-worker WORDS`` and enter once it has said so on standard error."""
    process = await start(*words, env=env)
    assert process.stderr is not None
    try:
        await said(process.stderr, until)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(stream: asyncio.StreamReader, word: str) -> str:
    """Wait for a line with a word in it; return all lines up to it."""
    lines = ""
    async with asyncio.timeout(PATIENCE):
        while word not in lines:
            line = await stream.readline()
            if not line:
                raise AssertionError(f"ended without saying {word!r}: {lines}")
            lines += line.decode()
    return lines
