"""What the flow may expect of AUI, of the fake agent and of the real one over the sandbox."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Protocol

import pytest

from tests.conformance.script import (
    Close,
    Lose,
    Refuse,
    Silence,
    Step,
    answering,
    failing,
    updating,
)
from tests.conformance.ways import opened
from tests.fakes import FakeAgent, ManualClock
from worker.aui.agent import AuiAgent
from worker.aui.network import Network
from worker.aui.timeouts import Timeouts
from worker.core.conversation import created_at
from worker.core.errors import AgentUnavailable
from worker.core.redact import Redactor
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Kind, Source, judge
from worker.relay.ports import Agent
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

KEY = "API_KEY_conformance"
ANSWER = "I found several microwaves"
FAKE: dict[str, list[Step]] = {
    "an answer": answering(ANSWER),
    "an error frame and 1011": [updating("I"), failing(500), Close(1011)],
    "a bare 1011": [updating("I"), Close(1011)],
    "a bare 1008": [updating("I"), Close(1008)],
    "moderation": [updating("I"), failing(400), Close(1008)],
    "a cut": [updating("I"), Lose()],
    "garbage": [updating("I"), b"<html>"],
    "silence": [updating("I"), Silence(3600.0)],
    "a refusal": [Refuse(503)],
    "nobody there": [Lose(Source.CONNECTION_FAILED)],
}
REAL = {
    "an answer": "",
    "an error frame and 1011": "!1011 after=1 |",
    "a bare 1011": "!close code=1011 after=1 |",
    "a bare 1008": "!1008 after=1 |",
    "moderation": "!400 after=1 |",
    "a cut": "!cut after=1 |",
    "garbage": "!garbage after=1 |",
    "silence": "!silence after=1 |",
    "a refusal": "",
    "nobody there": "",
}


class World(Protocol):
    """An agent, and how to make its AUI do what a test needs."""

    agent: Agent

    async def task(self, user_id: str) -> str:
        """Make a task, not over the port."""

    async def play(self, what: str, task_id: str) -> bytes:
        """Prepare the next attempt; return the request that sets it off."""

    def be_unavailable(self, status: int = 503) -> None:
        """Let the next REST call fail."""

    def refuse_socket(self, status: int) -> None:
        """Let the next probe fail when it opens its WebSocket."""

    def said(self) -> int:
        """Count the messages that were ever said to an agent."""

    def deadline(self, seconds: float) -> float:
        """Return a time on the agent's clock."""

    async def open_conversations(self) -> int:
        """Count, once everything has had the time to close."""


class FakeWorld:
    """The fake agent."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fake = FakeAgent(self.clock)
        self.agent: Agent = self.fake

    async def task(self, user_id: str) -> str:
        return (await self.fake.create_task(user_id)).id

    async def play(self, what: str, task_id: str) -> bytes:
        self.fake.play(FAKE[what])
        return json.dumps({"task_id": task_id, "text": "a microwave"}).encode()

    def be_unavailable(self, status: int = 503) -> None:
        self.fake.unavailable.append(judge(Source.STATUS, status))

    def refuse_socket(self, status: int) -> None:
        self.fake.unopened.append(judge(Source.STATUS, status))

    def said(self) -> int:
        return sum(map(len, self.fake.histories.values()))

    def deadline(self, seconds: float) -> float:
        return self.clock.now() + seconds

    async def open_conversations(self) -> int:
        return self.fake.open


class RealWorld:
    """The real agent over a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        network = Network("default", KEY, sandbox.base_url)
        self.real = AuiAgent(network, Timeouts(5.0, 5.0, 5.0), 1024 * 1024, Redactor([KEY]))
        self.agent: Agent = self.real

    async def task(self, user_id: str) -> str:
        return self.sandbox.create_task(user_id).id

    async def play(self, what: str, task_id: str) -> bytes:
        if what == "a refusal":
            self.sandbox.fault(upgrade={"status": 503})
        if what == "nobody there":
            await self.sandbox.stop()
        return json.dumps({"task_id": task_id, "text": f"{REAL[what]} a microwave"}).encode()

    def be_unavailable(self, status: int = 503) -> None:
        self.sandbox.fault(rest={"status": status, "times": 1})

    def refuse_socket(self, status: int) -> None:
        self.sandbox.fault(upgrade={"status": status, "times": 1})

    def said(self) -> int:
        return int(self.sandbox.state()["user_messages"])

    def deadline(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds

    async def open_conversations(self) -> int:
        await self.real.aclose()
        return int(self.sandbox.state()["open_sockets"])


@pytest.fixture(params=["fake", "direct", "proxied"])
async def world(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Run the suite over the fake and over the real one, whichever way it goes to AUI."""
    if request.param == "fake":
        yield FakeWorld()
        return
    async with opened(request.param, monkeypatch):
        async for world in real_world():
            yield world


async def real_world() -> AsyncIterator[World]:
    """Lend the real agent over a sandbox."""
    async with Sandbox(api_key=KEY, word_delay=0.0) as sandbox:
        real = RealWorld(sandbox)
        yield real
        await real.real.aclose()


async def heard(
    world: World, task_id: str, request: bytes, seconds: float = 10.0
) -> tuple[Turn, list[str]]:
    """Hold a conversation to its end; return the turn and the texts."""
    updates: list[Update] = []
    turn = await world.agent.converse(task_id, request, world.deadline(seconds), updates.append)
    return turn, [update.text for update in updates]


async def test_texts_come_as_they_grow_and_end_in_the_whole_answer(world: World) -> None:
    task_id = await world.task("user_1")
    request = await world.play("an answer", task_id)
    turn, texts = await heard(world, task_id, request)
    assert len(texts) > 2
    assert all(later.startswith(text) for text, later in pairwise(texts))
    assert turn.verdict is not None
    assert turn.verdict.kind is Kind.COMPLETED
    assert turn.final is not None
    assert (turn.final.text, turn.text) == (texts[-1], texts[-1])
    assert json.loads(turn.final.raw)["id"] == turn.final.id


@pytest.mark.parametrize(
    ("what", "kind", "reason"),
    [
        ("an error frame and 1011", Kind.INTERRUPTED, "upstream_error"),
        ("a bare 1011", Kind.INTERRUPTED, "internal_error"),
        ("a bare 1008", Kind.REJECTED, "policy_violation"),
        ("moderation", Kind.REJECTED, "bad_request"),
        ("a cut", Kind.INTERRUPTED, "connection_lost"),
        ("garbage", Kind.INTERRUPTED, "garbage_frame"),
        ("silence", Kind.REJECTED, "deadline_exceeded"),
    ],
)
async def test_every_ending_is_a_verdict_and_what_came_before_it_was_heard(
    world: World, what: str, kind: Kind, reason: str
) -> None:
    task_id = await world.task("user_1")
    request = await world.play(what, task_id)
    turn, texts = await heard(world, task_id, request, 1.0 if what == "silence" else 10.0)
    assert turn.verdict is not None
    assert (turn.verdict.kind, turn.verdict.reason) == (kind, reason)
    assert (texts, turn.text, turn.final) == (["I"], "I", None)


async def test_a_message_sent_whole_is_answered_whole(world: World) -> None:
    task_id = await world.task("user_1")
    request = await world.play("an answer", task_id)
    turn = await world.agent.post(task_id, request, world.deadline(10.0))
    assert turn.verdict is not None
    assert turn.verdict.kind is Kind.COMPLETED
    assert turn.final is not None
    assert json.loads(turn.final.raw)["id"] == turn.final.id
    history = await world.agent.task_messages(task_id)
    assert [said.by_user for said in history] == [True, False]
    assert (history[1].text, turn.maybe_sent) == (turn.final.text, True)


@pytest.mark.parametrize(
    ("what", "kind", "reason"),
    [
        ("silence", Kind.REJECTED, "deadline_exceeded"),
        ("nobody there", Kind.INTERRUPTED, "connection_failed"),
    ],
)
async def test_every_ending_of_a_message_sent_whole_is_a_verdict(
    world: World, what: str, kind: Kind, reason: str
) -> None:
    task_id = await world.task("user_1")
    request = await world.play(what, task_id)
    turn = await world.agent.post(task_id, request, world.deadline(0.5))
    assert turn.verdict is not None
    assert (turn.verdict.kind, turn.verdict.reason) == (kind, reason)
    assert turn.final is None


@pytest.mark.parametrize(
    ("what", "reason"), [("a refusal", "upstream_error"), ("nobody there", "connection_failed")]
)
async def test_a_connection_that_could_not_be_opened_is_a_verdict_too(
    world: World, what: str, reason: str
) -> None:
    task_id = await world.task("user_1")
    request = await world.play(what, task_id)
    turn, texts = await heard(world, task_id, request)
    assert texts == []
    assert turn.verdict is not None
    assert (turn.verdict.kind, turn.verdict.reason) == (Kind.INTERRUPTED, reason)


async def test_being_cancelled_closes_it_however_far_it_came(world: World) -> None:
    task_id = await world.task("user_1")
    request = await world.play("silence", task_id)
    streaming = asyncio.Event()

    def put(_: Update) -> None:
        streaming.set()

    talking = asyncio.ensure_future(
        world.agent.converse(task_id, request, world.deadline(10.0), put)
    )
    await streaming.wait()
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    assert await world.open_conversations() == 0


async def test_the_next_message_of_a_task_is_answered_like_the_first(world: World) -> None:
    task_id = await world.task("user_1")
    finals = []
    for _ in range(3):
        request = await world.play("an answer", task_id)
        turn, texts = await heard(world, task_id, request)
        assert turn.final is not None
        assert (texts[-1], turn.ignored, turn.stale) == (turn.final.text, {}, False)
        finals.append(turn.final.raw)
    assert len(await world.agent.task_messages(task_id)) == 6
    assert await world.open_conversations() == 0


async def test_after_an_attempt_that_failed_the_next_one_is_answered(world: World) -> None:
    task_id = await world.task("user_1")
    for what in ("an answer", "a cut", "an answer", "garbage", "an answer"):
        request = await world.play(what, task_id)
        turn, _ = await heard(world, task_id, request)
        assert (turn.final is not None, turn.stale) == (what == "an answer", False)


async def test_what_put_raises_is_raised_to_who_asked(world: World) -> None:
    task_id = await world.task("user_1")
    request = await world.play("an answer", task_id)

    def put(_: Update) -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await world.agent.converse(task_id, request, world.deadline(10.0), put)
    assert await world.open_conversations() == 0


async def test_a_created_task_is_listed_and_nothing_was_said_in_it(world: World) -> None:
    task = await world.agent.create_task("user_1")
    page = await world.agent.list_tasks("user_1")
    assert json.loads(task.raw)["id"] == task.id
    assert [one.id for one in page.tasks] == [task.id]
    assert (page.total, page.last) == (1, 1)
    assert created_at(task.id) is not None
    assert list(await world.agent.task_messages(task.id)) == []
    assert (await world.agent.list_tasks("user_2")).total == 0


async def test_many_tasks_are_listed_page_by_page(world: World) -> None:
    made = {await world.task("user_1") for _ in range(53)}
    first = await world.agent.list_tasks("user_1")
    last = await world.agent.list_tasks("user_1", first.last)
    assert (first.total, first.last, len(first.tasks)) == (53, 2, first.size)
    assert {task.id for task in [*first.tasks, *last.tasks]} == made


async def test_a_history_tells_who_said_what_oldest_first(world: World) -> None:
    task_id = await world.task("user_1")
    for _ in range(2):
        request = await world.play("an answer", task_id)
        turn, texts = await heard(world, task_id, request)
        assert texts
    history = await world.agent.task_messages(task_id)
    assert [said.by_user for said in history] == [True, False, True, False]
    assert history[0].text.strip() == "a microwave"
    assert history[-1].text == turn.text


@pytest.mark.parametrize(
    "call",
    [
        lambda agent, _: agent.create_task("user_1"),
        lambda agent, _: agent.list_tasks("user_1"),
        lambda agent, task_id: agent.task_messages(task_id),
    ],
    ids=["create_task", "list_tasks", "task_messages"],
)
async def test_what_is_not_to_be_had_is_one_exception_with_the_verdict(
    world: World, call: Callable[[Agent, str], Awaitable[object]]
) -> None:
    task_id = await world.task("user_1")
    world.be_unavailable()
    with pytest.raises(AgentUnavailable) as caught:
        await call(world.agent, task_id)
    assert (caught.value.verdict.kind, caught.value.verdict.status_code) == (Kind.INTERRUPTED, 503)
    assert await call(world.agent, task_id) is not None


async def test_a_task_that_aui_does_not_know_has_no_history_to_be_had(world: World) -> None:
    with pytest.raises(AgentUnavailable) as caught:
        await world.agent.task_messages("0123456789abcdef01234567")
    assert caught.value.verdict.reason == "not_found"


async def test_a_probe_of_an_aui_that_is_well_is_completed_and_leaves_nothing(world: World) -> None:
    task_id = await world.task("user_1")
    assert (await world.agent.probe()).kind is Kind.COMPLETED
    assert world.said() == 0
    assert list(await world.agent.task_messages(task_id)) == []
    assert (await world.agent.list_tasks("aui-worker-probe")).total == 0
    assert await world.open_conversations() == 0


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"),
        (403, "unauthorized"),
        (408, "upstream_error"),
        (425, "upstream_error"),
        (429, "rate_limited"),
        (503, "upstream_error"),
    ],
)
async def test_a_probe_that_fails_is_the_verdict_on_what_failed(
    world: World, status: int, reason: str
) -> None:
    for fail in (world.be_unavailable, world.refuse_socket):
        fail(status)
        verdict = await world.agent.probe()
        assert (verdict.reason, verdict.status_code) == (reason, status)
        assert (await world.agent.probe()).kind is Kind.COMPLETED


@pytest.mark.parametrize("status", [400, 404, 422, 418])
async def test_an_aui_that_refuses_the_list_of_a_probe_is_alive(world: World, status: int) -> None:
    world.be_unavailable(status)
    assert (await world.agent.probe()).kind is Kind.COMPLETED
    world.be_unavailable(status)
    world.refuse_socket(503)
    assert (await world.agent.probe()).status_code == 503
