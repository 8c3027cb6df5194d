"""Its tests: `pytest`, and nothing else. The fixtures come with aui-worker[testing]."""

from collections.abc import Callable

from concierge import SORRY, answer

from worker.client import Final, Reply
from worker.client.blocking import Client
from worker.testing import AuiSandbox


def test_the_agent_is_asked_and_answers(aui_blocking: Client, aui_sandbox: AuiSandbox) -> None:
    assert "microwave" in answer(aui_blocking, "+49 170 1", "a microwave, please")
    assert [said.text for said in aui_sandbox.user_messages] == ["a microwave, please"]


def test_a_hiccup_is_not_noticed(aui_blocking: Client, aui_sandbox: AuiSandbox) -> None:
    aui_sandbox.scenario("1011", after=3, times=1)  # breaks off after three updates, once
    assert answer(aui_blocking, "+49 170 2", "hello") not in SORRY.values()
    assert len(aui_sandbox.user_messages) == 2


def test_a_refused_message_is_to_be_rephrased(
    aui_blocking: Client, aui_sandbox: AuiSandbox
) -> None:
    aui_sandbox.scenario("400")
    assert answer(aui_blocking, "+49 170 3", "something rude") == SORRY["rephrase"]


def test_a_job_ends_once(
    aui_blocking: Client, assert_one_terminal_reply: Callable[[str], Reply]
) -> None:
    job = aui_blocking.send("!cut after=2 times=1 | hello", user_id="+49 170 4")
    assert isinstance(assert_one_terminal_reply(job), Final)  # whatever it took
