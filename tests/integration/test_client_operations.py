"""What is asked about tasks, and a message over REST: answered to the client that asks."""

import uuid
from collections.abc import AsyncIterator

import pytest
from harness import Bench
from lines import Line

from worker.client import Client, Final, InvalidRequest, JobFailed, NoAnswer
from worker.core.slots import slot_of
from worker.core.topology import jobs_exchange
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def aui(served: Bench, amqp_url: str) -> AsyncIterator[Client]:
    """Lend a client of the bench's network."""
    async with Client(amqp_url, served.network) as client:
        yield client


async def test_a_conversation_from_its_first_task_to_its_history(
    aui: Client, sandbox: Sandbox
) -> None:
    user = uuid.uuid4().hex
    task = await aui.create_task(user)
    final = await aui.post_message("a microwave", task_id=task.id)
    page = await aui.list_tasks(user)
    said = await aui.task_messages(task.id)

    assert isinstance(final, Final)
    assert (task.user_id, task.welcome_message != "") == (user, True)
    assert [one.id for one in page.tasks] == [task.id]
    assert (page.total, page.page, page.size) == (1, 1, 50)
    assert [(message.by_user, message.text) for message in said] == [
        (True, "a microwave"),
        (False, final.text),
    ]
    assert said[1].raw == final.body


async def test_pages_of_tasks(aui: Client) -> None:
    user = uuid.uuid4().hex
    made = {(await aui.create_task(user)).id for _ in range(3)}
    pages = [await aui.list_tasks(user, page, 2) for page in (1, 2)]
    assert [len(page.tasks) for page in pages] == [2, 1]
    assert {task.id for page in pages for task in page.tasks} == made


async def test_a_message_by_user_over_rest(aui: Client) -> None:
    user = uuid.uuid4().hex
    final = await aui.post_message("a microwave", user_id=user)
    page = await aui.list_tasks(user)
    assert [task.id for task in page.tasks] == [final.task_id]


async def test_a_refusal_is_told(aui: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    with pytest.raises(JobFailed) as refused:
        await aui.post_message("!400 | unspeakable", task_id=task.id)
    assert (refused.value.reason, refused.value.advice) == ("bad_request", "rephrase")
    with pytest.raises(JobFailed) as missing:
        await aui.task_messages("no-such-task")
    assert missing.value.status_code == 404


async def test_a_mistake_is_named(aui: Client) -> None:
    with pytest.raises(InvalidRequest, match=r"^size must"):
        await aui.list_tasks("user", size=101)
    with pytest.raises(InvalidRequest, match=r"^user_id must be text"):
        await aui.create_task("")


async def test_a_read_is_worth_no_more_than_it_is_waited_for(
    lines: list[Line], at: Bench, amqp_url: str
) -> None:
    """A task that is asked for, on the other hand, is wanted whenever it comes."""
    user = uuid.uuid4().hex
    published = await at.listen(jobs_exchange(at.network), slot_of(user))
    async with Client(amqp_url, at.network) as client:
        for ask in (client.list_tasks, client.create_task):
            with pytest.raises(NoAnswer):
                await ask(user, timeout=0.2)
    read, created = await published.until(lambda got: len(got) == 2)
    assert (read.type, read.expiration) == ("task.list", 0.2)
    assert (created.type, created.expiration) == ("task.create", None)
