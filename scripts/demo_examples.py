"""The bots and the web page of `examples/`, with all they need, in one terminal.

python scripts/demo_examples.py bots|web         AMQP_URL says where the broker is

`bots` plays two short conversations, by SMS and by WhatsApp, with fake providers in place of Twilio
and Meta, and shows them as the two phones would. `web` serves the page until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.align import Align
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the examples are no installed package

from examples.bots.fake_meta import FakeMeta  # noqa: E402
from examples.bots.fake_provider import served  # noqa: E402
from examples.bots.fake_twilio import FakeTwilio  # noqa: E402
from worker.app import running  # noqa: E402
from worker.aui.network import Network  # noqa: E402
from worker.core.redact import Redactor  # noqa: E402
from worker.core.topology import DEFAULT_NETWORK  # noqa: E402
from worker.sandbox import Sandbox  # noqa: E402
from worker.settings import Settings, load_amqp_url, load_worker_settings  # noqa: E402
from worker.telemetry.logs import set_up_logs  # noqa: E402

SANDBOX_KEY = "API_KEY_demo"
PATIENCE = 60.0
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""In which uvicorn writes at a terminal."""
QUIET = 0.7
"""Seconds without a further message after which an answer is taken to be whole."""
WIDTH = 46
SMS_PHONE, WHATSAPP_PHONE = "+15005550001", "4915005550001"


class Phone:
    """What one phone shows."""

    def __init__(self, title: str, colour: str) -> None:
        self.title = title
        self.colour = colour
        self.lines: list[RenderableType] = []

    def mine(self, text: str) -> None:
        """Show what its user says."""
        self.lines.append(Align.right(self._bubble(text, f"white on {self.colour}")))

    def theirs(self, text: str, *below: str) -> None:
        """Show a message, and the buttons under it."""
        self.lines.append(self._bubble(text, ""))
        self.lines += [
            Text(f"  ▸ {line}", style="cyan", overflow="ellipsis", no_wrap=True) for line in below
        ]

    def __rich__(self) -> Panel:
        return Panel(Group(*self.lines), title=self.title, width=WIDTH, box=box.HEAVY)

    def _bubble(self, text: str, style: str) -> Panel:
        width = min(WIDTH - 10, max(len(line) for line in text.splitlines()) + 4)
        return Panel(Text(text), box=box.ROUNDED, style=style, width=max(width, 8))


async def main(what: str) -> None:
    """Run the demo."""
    console = Console()
    async with AsyncExitStack() as stack:
        amqp_url = await stack.enter_async_context(_worker(console))
        if what == "web":
            await _web(console, amqp_url)
        else:
            await _bots(console, stack, amqp_url)


async def _bots(console: Console, stack: AsyncExitStack, amqp_url: str) -> None:
    twilio, meta = FakeTwilio(), FakeMeta()
    sms_api = await stack.enter_async_context(served(twilio.app))
    graph = await stack.enter_async_context(served(meta.app))
    common = {"AMQP_URL": amqp_url, "PORT": "0"}
    sms = {
        "TWILIO_API_URL": sms_api,
        "TWILIO_ACCOUNT_SID": twilio.account_sid,
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_SENDER": twilio.number,
        "SMS_WEBHOOK_URL": twilio.webhook,
    }
    whatsapp = {
        "WHATSAPP_API_URL": f"{graph}/v25.0",
        "WHATSAPP_TOKEN": meta.token,
        "WHATSAPP_APP_SECRET": meta.app_secret,
        "WHATSAPP_VERIFY_TOKEN": meta.verify_token,
        "WHATSAPP_PHONE_NUMBER_ID": meta.phone_number_id,
    }
    with console.status("starting the bots"):
        sms_at = await stack.enter_async_context(_example("bots.sms", common | sms))
        whatsapp_at = await stack.enter_async_context(_example("bots.whatsapp", common | whatsapp))
    console.print(f"[dim]SMS bot[/dim]       {sms_at}/sms, called by a fake Twilio")
    console.print(f"[dim]WhatsApp bot[/dim]  {whatsapp_at}/whatsapp, called by a fake Meta")
    texting, chatting = Phone("SMS", "blue"), Phone("WhatsApp", "dark_green")
    with console.status("two users are talking to the agent"):
        await asyncio.gather(
            _text(twilio, f"{sms_at}/sms", texting),
            _chat(meta, f"{whatsapp_at}/whatsapp", chatting),
        )
    console.print()
    console.print(Columns([texting, chatting], padding=(0, 2)))
    console.print("\n[dim]scripts/demo web[/dim] shows the same agent in a browser.")


async def _text(twilio: FakeTwilio, webhook: str, phone: Phone) -> None:
    for said in (
        "I am looking for a built-in microwave",
        "Which one is the cheapest?",
        "!400 | something that AUI refuses",
    ):
        phone.mine(said)
        before = len(twilio.taken)
        await twilio.receive(SMS_PHONE, said, webhook)
        await _quiet(twilio, before)
        for text in twilio.taken[before:]:
            phone.theirs(text.body)


async def _chat(meta: FakeMeta, webhook: str, phone: Phone) -> None:
    said: str | dict[str, Any] = "Hi! Which coffee machines do you have?"
    phone.mine(str(said))
    for tap in (0, -1, None):
        before = len(meta.taken)
        await meta.receive(WHATSAPP_PHONE, said, webhook)
        await _quiet(meta, before)
        came = meta.taken[before:]
        for message in came:
            phone.theirs(*_shown(message))
        if tap is not None:
            said = _buttons(came)[tap]
            phone.mine(f"☝ {said['title']}")


async def _quiet(provider: FakeTwilio | FakeMeta, before: int) -> None:
    """Wait for an answer, and until no more of it comes."""
    await provider.until(lambda taken: len(taken) > before, PATIENCE)
    while True:
        known = len(provider.taken)
        try:
            await provider.until(lambda taken, known=known: len(taken) > known, QUIET)  # type: ignore[misc]
        except TimeoutError:
            return


def _buttons(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the buttons of an answer, as Meta tells of a tap on one."""
    menus = [one["interactive"]["action"] for one in messages if one["type"] == "interactive"]
    return [button["reply"] for menu in menus for button in menu.get("buttons", [])]


def _shown(message: dict[str, Any]) -> list[str]:
    if message["type"] == "text":
        return [message["text"]["body"]]
    menu = message["interactive"]["action"]
    buttons = [f"[ {one['reply']['title']} ]" for one in menu.get("buttons", [])]
    sections = menu.get("sections", [])
    rows = [f"{row['title']}  {row.get('description', '')}" for s in sections for row in s["rows"]]
    return [message["interactive"]["body"]["text"], *buttons, *rows]


async def _web(console: Console, amqp_url: str) -> None:
    env = {"AMQP_URL": amqp_url, "PORT": os.environ.get("PORT", "0")}
    async with _example("web.backend", env) as address:
        console.print(f"[dim]page[/dim]          [bold]{address}/[/bold]   (Ctrl-C ends all of it)")
        console.print("              say “!1011 after=5 times=1 | a fridge” to see it recover")
        await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def _worker(console: Console) -> AsyncIterator[str]:
    """Run a sandbox of AUI, and a worker at the broker; yields the broker's URL."""
    async with Sandbox(api_key=SANDBOX_KEY, word_delay=0.02) as sandbox:
        network = Network(DEFAULT_NETWORK, SANDBOX_KEY, sandbox.base_url)
        settings = Settings(load_amqp_url(), {DEFAULT_NETWORK: network}, load_worker_settings())
        set_up_logs("console", Redactor(settings.secrets), logging.ERROR)
        async with running(settings):
            console.print(f"[dim]AUI[/dim]           a sandbox on {sandbox.base_url}")
            yield settings.amqp_url


@asynccontextmanager
async def _example(module: str, env: dict[str, str]) -> AsyncIterator[str]:
    """Run an example as a process of its own; yields its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"examples.{module}", cwd=ROOT, env=os.environ | env, stderr=-1
    )
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, address))
    try:
        async with asyncio.timeout(PATIENCE):
            where = await address
        yield where
    finally:
        if process.returncode is None:
            process.terminate()
        await reading
        await process.wait()


async def _read(process: asyncio.subprocess.Process, address: asyncio.Future[str]) -> None:
    assert process.stderr
    said = ""
    async for line in process.stderr:
        said += COLOURS.sub("", line.decode())
        if not address.done() and (found := re.search(r"running on (http://\S+)", said)):
            address.set_result(found[1])
    if not address.done():
        address.set_exception(RuntimeError(f"it ended at once: {said}"))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
