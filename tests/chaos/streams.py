"""The invariants of what subscribers read and AUI is told: chains, cross-talk, and order."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from case import FINAL, UPDATED, Case
from records import Reply
from schedule import PlannedJob


def chains(case: Case) -> Iterator[str]:
    """Tell of attempts whose updates are no chain of prefixes, numbered upwards."""
    attempts: dict[tuple[str, int], list[Reply]] = defaultdict(list)
    for reply in case.evidence.replies:
        # Copies of a job count their attempts from the same number.
        if reply.place == "hub" and case.copies.get(reply.job_id, 1) == 1:
            attempts[reply.job_id, reply.attempt].append(reply)
    for (job_id, attempt), replies in attempts.items():
        yield from (f"{job_id}, attempt {attempt}: {told}" for told in _chain(replies))


def _chain(replies: Sequence[Reply]) -> Iterator[str]:
    """Tell what is wrong with the replies of one attempt."""
    for one, next_one in pairwise(replies):
        # A reply whose confirm was lost may come again, as it was.
        if next_one.seq <= one.seq and next_one.message_id != one.message_id:
            yield f"seq {next_one.seq} after {one.seq}"
        if one.terminal and next_one.type == UPDATED:
            yield "an update after its end"
    texts = [_update_text(reply) for reply in replies if reply.type == UPDATED]
    for earlier, later in pairwise(texts):
        if not later.startswith(earlier):
            yield f"{later!r} does not continue {earlier!r}"


def crosstalk(case: Case) -> Iterator[str]:
    """Tell of what is in another task than its own."""
    for job_id, replies in case.replies.items():
        job = case.jobs.get(job_id)
        if job is None:
            continue
        for reply in replies:
            yield from (f"{job_id}: {told}" for told in _foreign(case, job, reply))
    for job_id, letters in case.letters.items():
        job = case.jobs.get(job_id)
        for letter in letters:
            if job is not None and json.loads(letter.body).get("text") != job.text:
                yield f"{job_id}: the letter is about {letter.body!r}"


def _foreign(case: Case, job: PlannedJob, reply: Reply) -> Iterator[str]:
    """Tell what in a reply is not of its job."""
    task = case.task_of(job)
    named = reply.headers.get("aui-task-id")
    if task is not None and named != task:
        yield f"a reply about task {named}, not {task}"
    if reply.place == "hub" and reply.key.split(".")[2] != (named or "_"):
        yield f"a reply under {reply.key}"
    if reply.type == UPDATED and job.chunk and len(_update_text(reply)) % job.chunk:
        yield f"an update of {len(_update_text(reply))} characters, not by {job.chunk}"
    if reply.type == FINAL:
        answer = case.answers.get(json.loads(reply.body).get("id"))
        asked = None if answer is None else case.asked.get(answer.answers)
        if asked != job.text:
            yield f"a final that answers {asked!r}"
        elif answer is not None and answer.task_id != named:
            yield f"a final of task {answer.task_id} for {named}"


def _update_text(reply: Reply) -> str:
    text: str = json.loads(reply.body)["data"]["text"]
    return text


def order(case: Case) -> Iterator[str]:
    """Compare when the jobs of a task were first asked with the order of their publishing."""
    number: dict[str, int] = {}
    for job in case.plan.jobs:
        number.setdefault(job.text, job.number)
    newest: dict[str, int] = defaultdict(lambda: -1)
    seen = set()
    for ask in case.evidence.asks:
        if ask.text in seen or ask.text not in number:
            continue
        seen.add(ask.text)
        if number[ask.text] < newest[ask.task_id]:
            yield f"job {number[ask.text]} of task {ask.task_id} after job {newest[ask.task_id]}"
        newest[ask.task_id] = max(newest[ask.task_id], number[ask.text])
