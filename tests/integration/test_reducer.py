"""The same conversation, followed by a subscriber in Node.js and by the Python client at once."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import PATIENCE, Bench

from worker.client import Client, Final, Reply, Update
from worker.core.reply import TYPES, ReplyKind
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples" / "node"
GREETING = "schöne Grüße 👩‍👩‍👧 👍🏽"


@pytest.fixture(scope="module")
def amqplib() -> None:
    """Install what the examples need, once."""
    if not (EXAMPLES / "node_modules" / "amqplib").is_dir():
        npm = shutil.which("npm")
        assert npm, "the Node.js examples need npm: apt-get install nodejs npm"
        subprocess.run([npm, "ci", "--silent", "--prefix", str(EXAMPLES)], check=True)


def told(reply: Reply) -> str:
    """What the subscriber prints of a reply."""
    assert reply.kind
    text = reply.text if isinstance(reply, Update | Final) else ""
    return f"{TYPES[reply.kind]} {text}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "fault", ["", "!1011 after=3 times=2 | ", "!cut after=2 | ", "!400 after=3 | "]
)
async def test_both_see_the_same_byte_for_byte(
    served: Bench, sandbox: Sandbox, amqp_url: str, amqplib: None, fault: str
) -> None:
    """Attempts that fail half-way, a lost connection, a refusal: what stands is the same."""
    task, read = sandbox.create_task("user"), list[Reply]()
    async with Client(amqp_url, served.network) as aui, aui.replies(task.id) as replies:
        process = await asyncio.create_subprocess_exec(
            *("node", str(EXAMPLES / "subscriber.mjs"), task.id),
            env={**os.environ, "AMQP_URL": amqp_url},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout
        assert await process.stdout.readline() == b"listening\n"
        await aui.send(f"{fault}a microwave, {GREETING}", task_id=task.id)
        async with asyncio.timeout(PATIENCE):
            async for reply in replies:
                read.append(reply)
                if reply.terminal:
                    break
            out, _ = await process.communicate()

    printed = out.decode().splitlines()
    # A reader in Python that is slower than the agent is spared updates that are superseded.
    left = iter(printed)
    assert all(told(reply) in left for reply in read)
    assert [line for line in printed if not line.startswith(TYPES[ReplyKind.UPDATE])] == [
        told(reply) for reply in read if reply.kind is not ReplyKind.UPDATE
    ]
    if "!400" not in fault:
        answer = sandbox.store.tasks[task.id].messages[-1].text
        assert isinstance(read[-1], Final)
        assert read[-1].text == answer
        assert out.endswith(f"message.completed {answer}\n".encode())
    assert process.returncode == 0
