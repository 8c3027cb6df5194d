"""The fixtures of worker.testing, as the tests of another team use them."""

import asyncio
import signal
from collections.abc import Callable, Mapping

import pytest

from worker.client import Client, Failed, Final, Update
from worker.client.blocking import Client as BlockingClient
from worker.testing import AuiSandbox, AuiWorker, ReplyRecorder, directive

pytestmark = pytest.mark.usefixtures("amqp_url")  # so what is published is held to the contract

OneEnd = Callable[..., Final | Failed]


def test_a_message_is_answered(
    aui_blocking: BlockingClient, aui_sandbox: AuiSandbox, assert_one_terminal_reply: OneEnd
) -> None:
    """By a real worker, on a real broker, from the sandbox; all in a synchronous test."""
    task = aui_sandbox.create_task("user")
    job = aui_blocking.send("a microwave, please", task_id=task.id)
    final = assert_one_terminal_reply(job)

    assert isinstance(final, Final)
    asked, answered = aui_sandbox.messages(task)
    assert (asked.sender, asked.text, asked.user_id) == ("user", "a microwave, please", "user")
    assert answered.text == final.text
    assert aui_sandbox.user_messages == [asked]


@pytest.mark.anyio
async def test_an_asynchronous_test_is_no_different(
    aui: Client, aui_sandbox: AuiSandbox, aui_replies: ReplyRecorder
) -> None:
    """Its client belongs to its own loop; what waits in the thread is called in another."""
    task = aui_sandbox.create_task()
    async with aui:
        final = await aui.ask("a microwave, please", task_id=task.id)
        end = await asyncio.to_thread(aui_replies.assert_one_terminal_reply, final.job_id)

    assert end.raw == final.raw
    replies = aui_replies.of(final.job_id)
    assert [reply.seq for reply in replies] == list(range(1, len(replies) + 1))
    assert all(isinstance(reply, Update) for reply in replies[:-1])


def test_a_scenario_is_set_from_the_test(
    aui_blocking: BlockingClient, aui_sandbox: AuiSandbox, assert_one_terminal_reply: OneEnd
) -> None:
    """What the program says stays as it is; the test before has left nothing."""
    assert aui_sandbox.user_messages == []
    aui_sandbox.scenario("1011", after=3, times=2)
    job = aui_blocking.send("hello", task_id=aui_sandbox.create_task().id)
    final = assert_one_terminal_reply(job)

    assert (type(final), final.attempt) == (Final, 3)
    assert [line.text for line in aui_sandbox.user_messages] == ["hello"] * 3


def test_a_scenario_ends_with_its_test(
    aui_blocking: BlockingClient, aui_sandbox: AuiSandbox, assert_one_terminal_reply: OneEnd
) -> None:
    """The one of the test above is no more; a text can still order one for itself."""
    assert aui_sandbox.state()["faults"] == {}
    job = aui_blocking.send(directive("400", "hello"), task_id=aui_sandbox.create_task().id)
    failed = assert_one_terminal_reply(job)

    assert isinstance(failed, Failed)
    assert (failed.reason, failed.advice) == ("bad_request", "rephrase")


def test_a_fault_comes_before_any_text(
    aui_blocking: BlockingClient, aui_sandbox: AuiSandbox, assert_one_terminal_reply: OneEnd
) -> None:
    """The WebSocket is refused twice; the third attempt is answered."""
    task = aui_sandbox.create_task()
    aui_sandbox.fault(upgrade={"status": 503, "times": 2})
    final = assert_one_terminal_reply(aui_blocking.send("hello", task_id=task.id))

    assert final.attempt == 3


class TestAWorkerOfOnesOwn:
    """The settings can be another's for a class, a file or a parameter."""

    @pytest.fixture
    def aui_worker_settings(self) -> Mapping[str, str]:
        return {"WORKER_ATTEMPTS": "1"}

    def test_settings_are_overridden(
        self,
        aui_blocking: BlockingClient,
        aui_worker: AuiWorker,
        aui_sandbox: AuiSandbox,
        assert_one_terminal_reply: OneEnd,
    ) -> None:
        aui_sandbox.scenario("1011")
        job = aui_blocking.send("hello", task_id=aui_sandbox.create_task().id)
        failed = assert_one_terminal_reply(job)

        assert aui_worker.settings["WORKER_ATTEMPTS"] == "1"
        assert isinstance(failed, Failed)
        assert len(aui_sandbox.user_messages) == 1

    def test_a_worker_may_be_killed(self, aui_worker: AuiWorker) -> None:
        aui_worker.kill()
        assert not aui_worker.running
        assert aui_worker.not_ready() == ["it has ended"]

    def test_and_the_next_test_gets_another(self, aui_worker: AuiWorker) -> None:
        assert aui_worker.not_ready() == []

    def test_a_frozen_one_is_stopped_all_the_same(self, aui_worker: AuiWorker) -> None:
        aui_worker.send_signal(signal.SIGSTOP)


def test_there_can_be_several(
    aui_blocking: BlockingClient,
    aui_worker: AuiWorker,
    aui_workers: Callable[..., AuiWorker],
    aui_sandbox: AuiSandbox,
    assert_one_terminal_reply: OneEnd,
) -> None:
    """The second goes on when the first is killed in the middle of an answer."""
    task = aui_sandbox.create_task()
    with aui_blocking.replies(task.id) as replies:
        job = aui_blocking.send("!load updates=100 interval=0.05 chunk=5", task_id=task.id)
        assert isinstance(next(iter(replies)), Update)
    second = aui_workers(WORKER_LOG_LEVEL="debug")
    aui_worker.kill()
    final = assert_one_terminal_reply(job)

    assert second.settings["WORKER_ID"] != aui_worker.settings["WORKER_ID"]
    assert isinstance(final, Final)
    assert final.attempt > 64  # of another delivery
    assert len(aui_sandbox.user_messages) == 1
