"""An agent is its sessions and its REST API; closing it closes everything."""

import asyncio

import pytest

from tests.unit.aui.servers import REDACTOR, in_turn, never, raw_server, response
from tests.unit.aui.talk import GENEROUS, MAX_BYTES, left_behind, network_of, request_of
from worker.aui.agent import AuiAgent
from worker.aui.network import Network
from worker.aui.timeouts import Timeouts
from worker.core.errors import AgentUnavailable
from worker.core.update import Update
from worker.core.verdict import Kind, Source
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


def soon() -> float:
    """Return a deadline."""
    return asyncio.get_running_loop().time() + 10.0


def nowhere(_: Update) -> None:
    """Do not care for updates."""


async def test_a_conversation_is_found_in_the_history_afterwards(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, MAX_BYTES, REDACTOR)
    task = await agent.create_task("user_1")
    updates: list[Update] = []
    await agent.converse(task.id, request_of(task.id, "hi"), soon(), updates.append)
    page = await agent.list_tasks("user_1")
    history = await agent.task_messages(task.id)
    await agent.aclose()
    assert [one.id for one in page.tasks] == [task.id]
    assert [said.text for said in history] == ["hi", updates[-1].text]


async def test_closing_waits_until_every_socket_is_closed(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox, keep=60.0), GENEROUS, MAX_BYTES, REDACTOR)
    for _ in range(3):
        task = sandbox.create_task("user_1")
        turn = await agent.converse(task.id, request_of(task.id, "hi"), soon(), nowhere)
        assert turn.final is not None
    assert sandbox.state()["open_sockets"] == 3
    await agent.aclose()
    assert sandbox.state()["open_sockets"] == 0
    assert left_behind() == []


async def test_closing_an_agent_that_was_never_used_is_fine(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, MAX_BYTES, REDACTOR)
    await agent.aclose()
    await agent.aclose()
    assert sandbox.state()["open_sockets"] == 0


async def test_its_rest_calls_have_the_time_a_connection_has() -> None:
    timeouts = Timeouts(connect=0.05, first_text=60.0, idle=60.0)
    async with raw_server(never) as server, asyncio.timeout(5.0):
        agent = AuiAgent(server.network(), timeouts, MAX_BYTES, REDACTOR)
        with pytest.raises(AgentUnavailable) as caught:
            await agent.create_task("user_1")
        await agent.aclose()
    assert caught.value.verdict.reason == "timeout"


async def test_an_answer_sent_whole_has_the_time_of_a_first_text_and_a_pause(
    sandbox: Sandbox,
) -> None:
    timeouts = Timeouts(connect=5.0, first_text=0.02, idle=0.03)
    agent = AuiAgent(network_of(sandbox), timeouts, MAX_BYTES, REDACTOR)
    task = sandbox.create_task("user_1")
    async with asyncio.timeout(4.0):
        turn = await agent.post(task.id, request_of(task.id, "!silence | hi"), soon())
    await agent.aclose()
    assert turn.verdict is not None
    assert (turn.verdict.source, turn.maybe_sent) == (Source.FIRST_TEXT_TIMEOUT, True)


async def test_a_message_sent_whole_that_nobody_took_was_not_sent() -> None:
    agent = AuiAgent(Network("default", "k", "http://127.0.0.1:9/"), GENEROUS, MAX_BYTES, REDACTOR)
    turn = await agent.post("task_1", request_of("task_1", "hi"), soon())
    await agent.aclose()
    assert turn.verdict is not None
    assert (turn.verdict.reason, turn.maybe_sent) == ("connection_failed", False)


async def test_turns_over_rest_leave_room_for_a_read(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, MAX_BYTES, REDACTOR)
    task = sandbox.create_task("user_1")
    request = request_of(task.id, "!silence | hi")
    posts = [asyncio.create_task(agent.post(task.id, request, soon())) for _ in range(120)]
    async with asyncio.timeout(8.0):
        while len(sandbox.store.user_messages(task.id)) < len(posts):
            await agent.task_messages(task.id)
    for one in posts:
        one.cancel()
    await asyncio.gather(*posts, return_exceptions=True)
    await agent.aclose()


async def test_an_answer_above_the_limit_is_rejected(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, 4096, REDACTOR)
    task = sandbox.create_task("user_1")
    request = request_of(task.id, "!huge bytes=5000 | hi")
    turn = await agent.converse(task.id, request, soon(), nowhere)
    await agent.aclose()
    assert turn.verdict is not None
    assert turn.verdict.kind is Kind.REJECTED
    assert turn.verdict.reason == "reply_too_large"


async def test_a_probe_leaves_no_socket_open(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, MAX_BYTES, REDACTOR)
    assert (await agent.probe()).kind is Kind.COMPLETED
    await agent.aclose()
    assert (sandbox.state()["open_sockets"], sandbox.state()["tasks"]) == (0, 0)
    assert left_behind() == []


async def test_where_nobody_is_a_probe_says_so(sandbox: Sandbox) -> None:
    agent = AuiAgent(network_of(sandbox), GENEROUS, MAX_BYTES, REDACTOR)
    await sandbox.stop()
    assert (await agent.probe()).reason == "connection_failed"
    await agent.aclose()


async def test_a_probe_that_is_not_answered_is_a_timeout() -> None:
    timeouts = Timeouts(connect=0.05, first_text=60.0, idle=60.0)
    answers = in_turn(response(200, b'{"tasks":[]}'), never)
    async with raw_server(answers) as server, asyncio.timeout(5.0):
        agent = AuiAgent(server.network(), timeouts, MAX_BYTES, REDACTOR)
        verdict = await agent.probe()
        await agent.aclose()
    assert (verdict.kind, verdict.source) == (Kind.INTERRUPTED, Source.CONNECT_TIMEOUT)
