"""The examples of the typed client, run as they are against a worker on a real RabbitMQ."""

import asyncio
import sys
import uuid
from pathlib import Path

import pytest
from harness import PATIENCE, bench, settings, working
from programs import environment

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"


async def run(example: str, amqp_url: str, *words: str) -> list[str]:
    """Run an example to its end; return the lines it printed."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES / example), *words),
        env=environment(amqp_url),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await program.communicate()
    assert program.returncode == 0
    return out.decode().splitlines()


async def test_the_examples_of_the_client_do_what_they_say(amqp_url: str, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    served = settings(amqp_url, sandbox, "default", partitions=16)
    async with bench(amqp_url, "default"), working(served):
        answer, *suggestions = await run("ask.py", amqp_url, uuid.uuid4().hex, "a microwave")
        refused = await run("ask.py", amqp_url, uuid.uuid4().hex, "!400 | no")
        streamed = await run("stream.py", amqp_url, task.id, "a microwave")
        said = await run("blocking.py", amqp_url, uuid.uuid4().hex, "a microwave")

    assert suggestions
    assert refused == ["rephrase"]
    assert streamed[-1] == sandbox.store.tasks[task.id].messages[-1].text == answer
    assert all(answer.startswith(text) for text in streamed)
    assert said[1] == answer
    assert said[2:] == ["user a microwave", f"agent {answer}"]
