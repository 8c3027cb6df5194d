"""`scripts/demo bots` and `scripts/demo web`, as a newcomer runs them."""

import asyncio
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aio_pika
import httpx
import pytest
from harness import remove

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

DEMO = Path(__file__).parents[2] / "scripts" / "demo_examples.py"


@pytest.fixture
async def broker_url(amqp_url: str) -> AsyncIterator[str]:
    """Lend the broker, and take off it what the demo leaves."""
    yield amqp_url
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        for queue in ("sub.sms-bot.default", "sub.whatsapp-bot.default"):
            await channel.queue_delete(queue)
        await remove(channel, "default", 16)


async def start(
    what: str, amqp_url: str, out: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    env = {"PATH": os.environ["PATH"], "AMQP_URL": amqp_url, "COLUMNS": "110"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, str(DEMO), what, env=env, stdout=out, stderr=pipe
    )


async def test_the_bots_talk_and_two_phones_show_it(broker_url: str) -> None:
    demo = await start("bots", broker_url)

    out, errors = await demo.communicate()

    assert (demo.returncode, errors) == (0, b"")
    shown = out.decode()
    assert "SMS" in shown
    assert "Nordvik Inset 25" in shown
    assert "Could you put it differently?" in shown
    assert "[ What is the price… ]" in shown


async def test_they_do_so_at_a_terminal_too(broker_url: str) -> None:
    """Where programs that notice it write in colours."""
    here, there = pty.openpty()
    demo = await start("bots", broker_url, out=there)
    os.close(there)

    shown = await asyncio.to_thread(to_the_end, here)
    _, errors = await demo.communicate()

    assert (demo.returncode, errors) == (0, b"")
    assert "Nordvik Inset 25" in shown


def to_the_end(terminal: int) -> str:
    """Read what is shown at a terminal until nobody writes there any more."""
    shown = b""
    with open(terminal, "rb", buffering=0) as screen, suppress(OSError):
        while data := screen.read(65536):
            shown += data
    return shown.decode(errors="replace")


async def test_the_page_is_served_until_it_is_told_to_end(broker_url: str) -> None:
    demo = await start("web", broker_url)
    assert demo.stdout
    said = ""
    async for line in demo.stdout:
        said += line.decode()
        if found := re.search(r"page\S*\s+(http://\S+)", said):
            break
    assert found

    async with httpx.AsyncClient() as browser:
        page = await browser.get(found[1])
        demo.send_signal(signal.SIGINT)
        _, errors = await demo.communicate()
        with pytest.raises(httpx.ConnectError):
            await browser.get(found[1])

    assert "Ask the shop" in page.text
    assert (demo.returncode, errors) == (130, b"")
