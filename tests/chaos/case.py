"""What a run left behind, sorted by job: what every invariant is checked on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from records import Answer, Evidence, Letter, Reply
from schedule import Plan, PlannedJob

UPDATED, FINAL, FAILED = "message.updated", "message.completed", "message.failed"


@dataclass(frozen=True)
class Case:
    """The plan and the evidence, by job.

    Attributes:
        accepted: when the broker first accepted it.
        copies: how often it was published, accepted or not.
        answers: the agent's, by their ids.
        asked: the texts of the users' messages, by their ids.
    """

    plan: Plan
    evidence: Evidence
    jobs: Mapping[str, PlannedJob]
    accepted: Mapping[str, float]
    copies: Mapping[str, int]
    replies: Mapping[str, Sequence[Reply]]
    letters: Mapping[str, Sequence[Letter]]
    answers: Mapping[str, Answer]
    asked: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, evidence: Evidence) -> Case:
        """Sort the evidence."""
        accepted: dict[str, float] = {}
        copies: dict[str, int] = defaultdict(int)
        for publish in evidence.published:
            copies[publish.job_id] += not publish.accepted
            if publish.accepted:
                accepted.setdefault(publish.job_id, publish.at)
        replies, letters = defaultdict(list), defaultdict(list)
        for reply in evidence.replies:
            replies[reply.job_id].append(reply)
        for letter in evidence.letters:
            letters[letter.message_id].append(letter)
        return cls(
            plan,
            evidence,
            {job.job_id: job for job in plan.jobs},
            accepted,
            copies,
            replies,
            letters,
            {answer.id: answer for answer in evidence.answers},
            {ask.id: ask.text for ask in evidence.asks},
        )

    def ends(self, job_id: str, *types: str) -> list[Reply]:
        """Return the replies of these types to a job."""
        return [reply for reply in self.replies.get(job_id, ()) if reply.type in types]

    def task_of(self, job: PlannedJob) -> str | None:
        """Return the id of a job's task; None for a job by user."""
        return None if job.task is None else self.evidence.tasks[job.task]
