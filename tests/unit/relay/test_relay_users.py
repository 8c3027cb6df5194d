"""A user's jobs find the task they belong to, and make one only where there is none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.conformance.script import PATIENCE
from tests.fakes import FakeAgent, ManualClock
from tests.unit.relay.flow import from_user, job_of
from worker.core import headers as h
from worker.core.conversation import CLOCK_SLACK, Task
from worker.core.errors import AgentUnavailable
from worker.core.said import Said
from worker.core.verdict import Source, judge
from worker.relay.users import Users

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(PATIENCE)]

NEW = {h.CONVERSATION: "new"}


class Desk:
    """The users of one network."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.agent = FakeAgent(self.clock)
        self.jobs = 0
        self.users = Users({"default": self.agent})

    async def task(self, user_id: str = "user_1") -> Task:
        """Make a task of that user, a second after the one before."""
        self.clock.seconds += 1
        made = await self.agent.create_task(user_id)
        self.agent.calls.clear()
        return made

    async def find(
        self,
        text: str = "hello",
        *,
        user_id: str = "user_1",
        headers: dict[str, str] | None = None,
        repeated: bool = False,
        published_at: float | None = None,
        job_id: str | None = None,
    ) -> tuple[str, Task | None]:
        """Find the task of a job."""
        timestamp = None if published_at is None else datetime.fromtimestamp(published_at, UTC)
        self.jobs += 1
        envelope = from_user(
            user_id,
            text,
            headers=dict(headers or {}),
            timestamp=timestamp,
            job_id=job_id or f"job_{self.jobs}",
        )
        return await self.users.task_for(job_of(envelope), repeated=repeated)


async def test_a_user_without_a_task_gets_one_and_is_told_of_it() -> None:
    desk = Desk()
    task_id, made = await desk.find()
    assert made is not None
    assert desk.agent.tasks["user_1"] == [made]
    assert made.id == task_id


async def test_two_quick_messages_of_a_new_user_are_one_conversation() -> None:
    desk = Desk()
    first, _ = await desk.find()
    desk.agent.tasks.clear()  # the list may lag behind
    assert await desk.find("are you there?") == (first, None)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_the_latest_task_is_found_on_whichever_page_it_is(newest_first: bool) -> None:
    desk = Desk()
    desk.agent.newest_first, desk.agent.page_size = newest_first, 2
    tasks = [await desk.task() for _ in range(7)]
    assert await desk.find() == (tasks[-1].id, None)
    assert desk.agent.calls == ["list_tasks", "list_tasks"]


async def test_a_known_user_is_not_looked_up_again() -> None:
    desk = Desk()
    task = await desk.task()
    await desk.find()
    desk.agent.calls.clear()
    assert await desk.find() == (task.id, None)
    assert desk.agent.calls == []


async def test_a_new_conversation_is_made_whatever_there_was_and_is_then_the_latest() -> None:
    desk = Desk()
    old = await desk.task()
    await desk.find()
    task_id, made = await desk.find(headers=NEW)
    assert made is not None
    assert task_id not in ("", old.id)
    assert await desk.find() == (task_id, None)


async def test_the_same_job_twice_makes_one_new_conversation() -> None:
    """Platforms deliver a webhook again when nobody answers in time."""
    desk = Desk()
    task_id, made = await desk.find(headers=NEW, job_id="wamid.1")
    other, _ = await desk.find(headers=NEW, job_id="wamid.2")
    assert made is not None
    assert other != task_id
    assert await desk.find(headers=NEW, job_id="wamid.1") == (task_id, None)
    desk.users.forget("default", "user_1", task_id)
    third, made = await desk.find(headers=NEW, job_id="wamid.1")
    assert made is not None
    assert third not in (task_id, other)


async def test_a_repeated_job_adopts_the_task_it_made_if_nobody_has_spoken_in_it() -> None:
    desk = Desk()
    mine = await desk.task()
    task_id, announced = await desk.find(headers=NEW, repeated=True)
    assert (task_id, announced) == (mine.id, mine)
    assert "create_task" not in desk.agent.calls


@pytest.mark.parametrize(("opening", "adopted"), [("hello", True), ("something else", False)])
async def test_a_repeated_job_adopts_a_task_that_opens_with_its_own_text(
    opening: str, adopted: bool
) -> None:
    desk = Desk()
    newest = await desk.task()
    desk.agent.histories[newest.id] = [Said(opening, by_user=True), Said("Hi", by_user=False)]
    task_id, made = await desk.find("hello", headers=NEW, repeated=True)
    assert made is not None
    assert (task_id == newest.id) is adopted


@pytest.mark.parametrize(("later", "adopted"), [(CLOCK_SLACK - 1, True), (CLOCK_SLACK + 1, False)])
async def test_a_repeated_job_does_not_adopt_a_task_older_than_itself(
    later: float, adopted: bool
) -> None:
    desk = Desk()
    newest = await desk.task()
    published_at = desk.clock.utc().timestamp() + later
    task_id, _ = await desk.find(headers=NEW, repeated=True, published_at=published_at)
    assert (task_id == newest.id) is adopted


async def test_a_repeated_job_of_a_user_without_tasks_makes_one() -> None:
    desk = Desk()
    task_id, made = await desk.find(headers=NEW, repeated=True)
    assert made is not None
    assert made.id == task_id


async def test_a_repeated_job_that_wants_the_latest_continues_what_it_made() -> None:
    desk = Desk()
    mine = await desk.task()
    assert await desk.find(repeated=True) == (mine.id, mine)


async def test_a_repeated_job_does_not_announce_a_task_that_is_in_use() -> None:
    desk = Desk()
    mine = await desk.task()
    desk.agent.histories[mine.id] = [Said("an earlier matter", by_user=True)]
    assert await desk.find(repeated=True) == (mine.id, None)


async def test_a_task_that_aui_does_not_know_any_more_is_forgotten() -> None:
    desk = Desk()
    gone, _ = await desk.find()
    desk.agent.tasks.clear()
    desk.clock.seconds += 1
    desk.users.forget("default", "user_1", gone)
    task_id, made = await desk.find()
    assert made is not None
    assert task_id != gone


async def test_forgetting_an_older_task_leaves_the_latest_alone() -> None:
    desk = Desk()
    latest, _ = await desk.find()
    desk.users.forget("default", "user_1", "another_task")
    desk.users.forget("default", "somebody_else", latest)
    desk.agent.calls.clear()
    assert await desk.find() == (latest, None)
    assert desk.agent.calls == []


async def test_only_so_many_users_are_remembered_those_met_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.relay.users.REMEMBERED", 2)
    desk = Desk()
    for user_id in ("anna", "ben", "anna", "carl"):
        await desk.find(user_id=user_id)
    desk.agent.calls.clear()
    for user_id in ("anna", "carl"):
        await desk.find(user_id=user_id)
    assert desk.agent.calls == []
    await desk.find(user_id="ben")
    assert desk.agent.calls == ["list_tasks"]


async def test_a_user_id_means_something_else_in_another_network() -> None:
    desk = Desk()
    other = FakeAgent(desk.clock)
    users = Users({"default": desk.agent, "acme": other})
    job = job_of(from_user())
    await users.task_for(job, repeated=False)
    elsewhere = job_of(replace(from_user(), network="acme"))
    _, made = await users.task_for(elsewhere, repeated=False)
    assert made is not None
    assert (len(desk.agent.tasks["user_1"]), len(other.tasks["user_1"])) == (1, 1)


@pytest.mark.parametrize("headers", [{}, NEW])
async def test_what_aui_does_not_say_is_passed_on_and_nothing_is_remembered(
    headers: dict[str, str],
) -> None:
    desk = Desk()
    desk.agent.unavailable.append(judge(Source.STATUS, 503))
    with pytest.raises(AgentUnavailable):
        await desk.find(headers=headers)
    _, made = await desk.find(headers=headers)
    assert made is not None
