"""The remote control of a sandbox: what a test sets and reads, from any thread."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from worker.testing import AuiSandbox, SandboxTask, directive, running_sandbox


@pytest.fixture(scope="module")
def running() -> Iterator[AuiSandbox]:
    """Run one for all tests here."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: AuiSandbox) -> AuiSandbox:
    """Lend it as if it were new."""
    running.reset()
    return running


def say(sandbox: AuiSandbox, task: SandboxTask, text: str) -> int:
    """Say something to the agent over REST; return the status."""
    return httpx.post(
        f"{sandbox.base_url}/api/v1/external/message",
        json={"task_id": task.id, "text": text, "context": {"url": "https://shop"}},
        headers={"x-network-api-key": sandbox.api_key},
    ).status_code


def test_a_conversation_can_be_read(sandbox: AuiSandbox) -> None:
    task, other = sandbox.create_task("anna"), sandbox.create_task("bert")
    assert say(sandbox, task, "hello") == 200
    assert say(sandbox, other, "hi") == 200
    asked, answered = sandbox.messages(task)
    assert (asked.sender, asked.text, asked.user_id) == ("user", "hello", "anna")
    assert asked.request["context"] == {"url": "https://shop"}
    assert (answered.sender, answered.task_id) == ("agent", task.id)
    assert sandbox.messages(task.id) == [asked, answered]
    assert [line.text for line in sandbox.user_messages] == ["hello", "hi"]


def test_a_reset_begins_a_new_list_and_leaves_conversations(sandbox: AuiSandbox) -> None:
    task = sandbox.create_task()
    say(sandbox, task, "before")
    sandbox.fault(rest={"status": 503})
    sandbox.scenario("400")
    sandbox.reset()
    assert sandbox.state()["faults"] == {}
    assert sandbox.user_messages == []
    assert say(sandbox, task, "after") == 200
    assert [line.text for line in sandbox.user_messages] == ["after"]
    assert [line.text for line in sandbox.messages(task) if line.sender == "user"] == [
        "before",
        "after",
    ]


def test_users_without_a_name_are_different_ones(sandbox: AuiSandbox) -> None:
    assert sandbox.create_task().user_id != sandbox.create_task().user_id


def test_an_id_may_be_chosen_once(sandbox: AuiSandbox) -> None:
    assert sandbox.create_task("u", "chosen").id == "chosen"
    with pytest.raises(ValueError, match="there is a task chosen already"):
        sandbox.create_task("u", "chosen")


def test_a_scenario_is_for_what_follows(sandbox: AuiSandbox) -> None:
    task = sandbox.create_task()
    sandbox.scenario("400", times=1)
    assert [say(sandbox, task, "hello") for _ in range(2)] == [400, 200]
    sandbox.clear_faults()
    assert say(sandbox, task, "another") == 200
    assert say(sandbox, task, directive("error", "hi", status=418)) == 418


def test_a_fault_is_counted(sandbox: AuiSandbox) -> None:
    task = sandbox.create_task()
    sandbox.fault(rest={"status": 429, "times": 1})
    assert [say(sandbox, task, "hello") for _ in range(2)] == [429, 200]


def test_what_there_is_not_is_told(sandbox: AuiSandbox) -> None:
    with pytest.raises(ValueError, match=r"unknown scenario '!1012'; the scenarios are .*!1011"):
        sandbox.scenario("1012")
    with pytest.raises(ValueError, match="'!400' has no parameter 'fater=1'; it has"):
        sandbox.scenario("400", fater=1)
    with pytest.raises(ValueError, match="unknown fault 'upgrde'; the faults are"):
        sandbox.fault(upgrde={})


def test_a_directive_is_a_text() -> None:
    assert directive("1011", "a | b", after=3, times=2) == "!1011 after=3 times=2 | a | b"
    assert directive("silence") == "!silence"


def test_it_may_be_asked_from_within_a_loop(sandbox: AuiSandbox) -> None:
    async def inside() -> SandboxTask:
        await asyncio.sleep(0)
        return sandbox.create_task("looped")

    assert asyncio.run(inside()).user_id == "looped"
