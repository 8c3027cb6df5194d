"""Five hundred jobs over a hundred tasks, through a real RabbitMQ."""

import asyncio
from collections import defaultdict
from itertools import groupby, pairwise

import pytest
from harness import TERMINAL, Bench, Inbox, settings, working

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

TASKS, MESSAGES = 100, 5


def text(n: int) -> str:
    """Return the nth message: every third one meets 1011 once, the others stream."""
    if n % 3 == 2:
        return f"!1011 after=4 times=1 | message {n}"
    return f"!load updates=12 interval=0.002 chunk=15 | message {n}"


@pytest.mark.timeout(150)
async def test_every_job_ends_once_with_all_its_updates_in_order(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Per attempt no update is missing or out of place; per task the order is kept."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(TASKS)]
    async with working(settings(amqp_url, sandbox, at.network, concurrency=64)):
        hub = await at.hub()
        jobs = {task.id: [f"{task.id}-{n}" for n in range(MESSAGES)] for task in tasks}
        for n in range(MESSAGES):
            await asyncio.gather(
                *(at.say(task.id, text(n), message_id=jobs[task.id][n]) for task in tasks)
            )
        everything = [job for of_task in jobs.values() for job in of_task]
        for job in everything:
            await hub.ended(job, patience=120)

    assert sorted(map(str, hub.by_job)) == sorted(everything)
    for job in everything:
        _check_job(hub, job)
    _check_order(hub, jobs)


def _check_job(hub: Inbox, job: str) -> None:
    replies = hub.of(job)
    assert [m.type for m in replies if m.type in TERMINAL] == ["message.completed"]
    assert replies[-1].type == "message.completed"
    for _, attempt in groupby(replies, key=lambda m: m.headers["aui-attempt"]):
        seqs = [m.headers["aui-seq"] for m in attempt]
        assert seqs == list(range(1, len(seqs) + 1))
    texts = hub.texts(job)
    by_attempt = defaultdict(list)
    updates = [m for m in replies if m.type == "message.updated"]
    for message, said in zip(updates, texts, strict=True):
        by_attempt[message.headers["aui-attempt"]].append(said)
    for chain in by_attempt.values():
        assert all(later.startswith(earlier) for earlier, later in pairwise(chain))
    if len(by_attempt) == 1:
        assert len(texts) == 12


def _check_order(hub: Inbox, jobs: dict[str, list[str]]) -> None:
    ends = [m for m in hub.messages if m.type in TERMINAL]
    for task_id, of_task in jobs.items():
        order = [m.headers["aui-job-id"] for m in ends if m.headers["aui-task-id"] == task_id]
        assert order == of_task
    spans = defaultdict(list)
    for place, message in enumerate(hub.messages):
        spans[message.headers["aui-job-id"]].append(place)
    for of_task in jobs.values():
        for earlier, later in pairwise(of_task):
            assert spans[earlier][-1] < spans[later][0]
