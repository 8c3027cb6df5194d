"""The examples of the README, run as they are against a worker on a real RabbitMQ."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from worker.testing import AuiSandbox, AuiWorker

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples"
LANGUAGES = {
    "python": ([sys.executable, "-u"], "python", ".py"),
    "node": (["node"], "node", ".mjs"),
}


@pytest.fixture(scope="session")
def installed() -> None:
    """Install what the Node.js examples need, once."""
    if not (EXAMPLES / "node" / "node_modules" / "amqplib").is_dir():
        npm = shutil.which("npm")
        assert npm, "the Node.js examples need npm: apt-get install nodejs npm"
        subprocess.run([npm, "ci", "--silent", "--prefix", f"{EXAMPLES}/node"], check=True)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("subscriber", LANGUAGES)
@pytest.mark.parametrize("producer", LANGUAGES)
async def test_the_examples_work_in_the_first_minute(
    installed: None,
    amqp_url: str,
    aui_worker: AuiWorker,
    aui_sandbox: AuiSandbox,
    producer: str,
    subscriber: str,
) -> None:
    """A producer and a subscriber, each in either language, with the task id as routing key."""
    task = aui_sandbox.create_task("user")
    listening = await run(subscriber, "subscriber", amqp_url, task.id)
    assert listening.stdout is not None
    assert await listening.stdout.readline() == b"listening\n"
    sending = await run(producer, "producer", amqp_url, task.id, "a microwave, please")
    async with asyncio.timeout(30):
        assert await sending.wait() == 0
        out, _ = await listening.communicate()

    lines = out.decode().splitlines()
    answer = aui_sandbox.messages(task)[-1].text
    assert lines[0].startswith("message.updated")
    assert lines[-1] == f"message.completed {answer}"
    assert listening.returncode == 0


async def run(language: str, role: str, amqp_url: str, *words: str) -> asyncio.subprocess.Process:
    """Start an example."""
    command, folder, ending = LANGUAGES[language]
    return await asyncio.create_subprocess_exec(
        *command,
        str(EXAMPLES / folder / f"{role}{ending}"),
        *words,
        env={**os.environ, "AMQP_URL": amqp_url},
        stdout=asyncio.subprocess.PIPE,
    )
