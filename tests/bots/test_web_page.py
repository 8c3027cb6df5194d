"""The web backend and its page, in a real browser: streamed, cut off, reloaded, never lost."""

import shutil
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fault_proxy import FaultProxy
from harness import CANARY
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from tests.bots.living import Bot, living
from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

WATCH = """
window.seen = [];
new MutationObserver(() => {
  for (const turn of document.querySelectorAll(".turn:not(#welcome)")) {
    const text = turn.querySelector(".theirs")?.textContent ?? "";
    const now = [turn.dataset.kind, text];
    if (window.seen.at(-1)?.join() !== now.join()) window.seen.push(now);
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a sandbox of AUI for the module, at the pace of a quick talker."""
    async with Sandbox(api_key=CANARY, word_delay=0.03) as running:
        yield running


@pytest.fixture(scope="module")
async def backend(amqp_url: str, network: str) -> AsyncIterator[Bot]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # its own again after a restart
    env = {"AMQP_URL": amqp_url, "AUI_NETWORK": network, "PORT": str(port)}
    async with living("web.backend", env) as running:
        yield running


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "the page is tested in Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path)
        yield running
        await running.close()


@pytest.fixture
async def proxy(backend: Bot) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(backend.url) as running:
        yield running


@pytest.fixture
async def page(browser: Browser, proxy: FaultProxy) -> AsyncIterator[Page]:
    """Open the page in a new browser profile; no error may be thrown in it."""
    context = await browser.new_context(viewport={"width": 900, "height": 900})
    page = await context.new_page()
    thrown: list[Any] = []
    page.on("pageerror", lambda error: thrown.append(error))
    await page.add_init_script(WATCH)
    await page.goto(proxy.url)
    await expect(page.locator("#status")).to_have_text("connected")
    yield page
    await context.close()
    assert not thrown


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.keyboard.press("Enter")


def answers(sandbox: Sandbox, said: str) -> list[str]:
    """Return what the agent answered to a message, that nobody else in the module says."""
    return [
        later.text
        for task in sandbox.store.tasks.values()
        for asked, later in zip(task.messages, task.messages[1:], strict=False)
        if asked.text == said and later.sender == "agent"
    ]


def asked(sandbox: Sandbox, said: str) -> int:
    """Return how often the agent was told that."""
    return sum(message.text == said for message in sandbox.store.user_messages())


async def answered(page: Page, turns: int = 1) -> list[str]:
    """Wait until so many turns are answered, and no more is shown; return their texts."""
    await expect(page.locator('.turn[data-kind="final"]')).to_have_count(turns, timeout=30_000)
    await expect(page.locator(".turn:not(#welcome)")).to_have_count(turns)
    return await page.locator(".turn:not(#welcome) .theirs").all_text_contents()


async def test_the_answer_streams_and_ends_as_the_agent_gave_it(
    page: Page, sandbox: Sandbox
) -> None:
    said = "I want a built-in microwave"

    await say(page, said)
    (shown,) = await answered(page)

    assert [shown] == answers(sandbox, said)
    seen: list[list[str]] = await page.evaluate("window.seen")
    texts = [text for _, text in seen]
    assert len(set(texts)) > 3
    assert all(shown.startswith(text) for text in texts)
    assert [len(text) for text in texts] == sorted(len(text) for text in texts)


async def test_options_and_suggestions_are_buttons_that_say_it(
    page: Page, sandbox: Sandbox
) -> None:
    await say(page, "show me fridges")
    await answered(page)
    card = page.locator(".card b").first
    chips = page.locator(".turn:not(#welcome) .chip")
    name, suggestion = await card.text_content(), await chips.nth(1).text_content()

    await chips.nth(1).click()
    await answered(page, 2)
    await card.click()
    await answered(page, 3)

    mine = await page.locator(".mine").all_text_contents()
    assert mine == ["show me fridges", suggestion, name]
    (task,) = [
        task
        for task in sandbox.store.tasks.values()
        if any(message.text == "show me fridges" for message in task.messages)
    ]
    assert [message.text for message in sandbox.store.user_messages(task.id)] == mine


async def test_a_broken_attempt_is_voided_and_its_text_replaced(
    page: Page, sandbox: Sandbox
) -> None:
    said = "!1011 after=5 times=1 | a coffee machine"

    await say(page, said)
    (shown,) = await answered(page)

    assert shown == answers(sandbox, said)[-1]
    kinds = [kind for kind, _ in await page.evaluate("window.seen")]
    assert "retrying" in kinds
    assert kinds.index("update") < kinds.index("retrying") < kinds.index("final")


async def test_a_refusal_asks_to_rephrase(page: Page) -> None:
    await say(page, "!400 | something rude")

    await expect(page.locator(".note.failed")).to_contain_text("put it differently")


async def test_what_is_said_is_text_and_never_html(page: Page) -> None:
    said = '<img src=x onerror="document.title=1"> & <b>bold</b>'

    await say(page, said)
    await answered(page)

    assert await page.locator(".mine").text_content() == said
    assert await page.locator("#talk img, #talk .mine *").count() == 0


async def test_a_reload_in_the_middle_loses_nothing(page: Page, sandbox: Sandbox) -> None:
    said = "!stall seconds=1 after=5 | headphones"
    await say(page, said)
    await expect(page.locator(".theirs.waiting").last).not_to_be_empty()

    await page.reload()
    (shown,) = await answered(page)

    assert [shown] == answers(sandbox, said)
    assert await page.locator(".mine").all_text_contents() == [said]
    assert asked(sandbox, said) == 1


async def test_an_answer_given_during_a_reload_is_there_after_it(
    page: Page, proxy: FaultProxy, sandbox: Sandbox
) -> None:
    """The browser is away while the answer ends."""
    said = "!stall seconds=1 after=5 | an espresso machine"
    await say(page, said)
    await expect(page.locator(".theirs.waiting").last).not_to_be_empty()
    address = page.url

    await page.goto("about:blank")
    while not answers(sandbox, said):
        await page.wait_for_timeout(20)
    await page.goto(address)
    (shown,) = await answered(page)

    assert [shown] == answers(sandbox, said)


async def test_a_cut_line_loses_nothing_and_shows_nothing_twice(
    page: Page, proxy: FaultProxy, sandbox: Sandbox
) -> None:
    said = "!stall seconds=1 after=5 | a vacuum cleaner"
    await say(page, said)
    await expect(page.locator(".theirs.waiting").last).not_to_be_empty()

    proxy.cut()
    (shown,) = await answered(page)
    await expect(page.locator("#status")).to_have_text("connected")

    assert [shown] == answers(sandbox, said)
    assert asked(sandbox, said) == 1


async def test_what_was_said_offline_is_sent_once_the_line_is_back(
    page: Page, sandbox: Sandbox
) -> None:
    said = ["a microwave, said in a tunnel", "and the next one, said in a tunnel"]
    await page.context.set_offline(True)
    for text in said:
        await say(page, text)

    await page.context.set_offline(False)
    await answered(page, 2)

    assert [m.text for m in sandbox.store.user_messages() if m.text in said] == said


async def test_a_message_that_has_to_be_sent_again_still_comes_before_the_next(
    page: Page, sandbox: Sandbox
) -> None:
    said = ["a microwave, lost at first", "and the next one, not lost"]
    lost: list[str] = []

    async def lose_the_first(route: Route) -> None:
        if lost:
            await route.continue_()
        else:
            lost.append(route.request.url)
            await route.abort()

    await page.route("**/messages", lose_the_first)
    for text in said:
        await say(page, text)
    await answered(page, 2)

    assert lost
    assert [m.text for m in sandbox.store.user_messages() if m.text in said] == said


async def test_a_restart_of_the_backend_loses_nothing(
    page: Page, backend: Bot, sandbox: Sandbox
) -> None:
    """It remembers nothing; the page sends again what was not answered, and the worker knows it."""
    said = "!stall seconds=2 after=5 | a small fridge"
    await say(page, said)
    await expect(page.locator(".theirs.waiting").last).not_to_be_empty()

    await backend.kill()
    await expect(page.locator("#status")).to_have_text("reconnecting")
    while not answers(sandbox, said):
        await page.wait_for_timeout(20)
    await backend.start()
    (shown,) = await answered(page)

    assert [shown] == answers(sandbox, said)
    assert asked(sandbox, said) == 1
