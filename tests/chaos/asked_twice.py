"""Was the agent asked more often than there were jobs, and if so, had the worker to?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from records import Answer, Ask, Evidence, Happened
from schedule import ENDED_BY_AUI, FaultKind, Plan, PlannedJob

PATIENCE, PATIENCE_TOLD = 30.0, 2.0
"""Seconds for which an answer is waited for: after a loss, and after AUI said that it failed."""
LAST_MOMENT = 1.0
"""Seconds between the last look into a history and the sending."""
DISTURBING = frozenset(FaultKind) - {
    FaultKind.SANDBOX_KILL,
    FaultKind.SANDBOX_STOP,
    FaultKind.AUI_LINK_RESET,
    FaultKind.AUI_LINK_BLACKHOLE,
    FaultKind.AUI_LINK_FREEZE,
    FaultKind.AUI_LINK_CUT_AFTER,
    FaultKind.AUI_LINK_LATENCY,
}
"""What may take a job from one worker and give it to another."""


@dataclass
class Repeats:
    """Messages that AUI got beyond one a job.

    Attributes:
        unjustified: each that was not to be sent, in words.
        justified: how many had to be sent again, by reason.
    """

    unjustified: list[str] = field(default_factory=list)
    justified: Counter[str] = field(default_factory=Counter)


def repeats(plan: Plan, evidence: Evidence) -> Repeats:
    """Judge every message that was sent more often than there were jobs with its text."""
    found = Repeats()
    jobs = defaultdict(list)
    for job in plan.jobs:
        jobs[job.text].append(job)
    asks = defaultdict(list)
    for ask in evidence.asks:
        asks[ask.text].append(ask)
    history = _History(
        {answer.answers: answer for answer in evidence.answers},
        evidence.faults,
        Counter(publish.job_id for publish in evidence.published if not publish.accepted),
    )
    for text, sent in asks.items():
        of_text = jobs.get(text, [])
        if of_text and len(sent) > len(of_text):
            _judge(of_text, sorted(sent, key=lambda ask: ask.at), history, found)
    return found


@dataclass(frozen=True)
class _History:
    answers: Mapping[str, Answer]
    faults: Sequence[Happened]
    publishes: Mapping[str, int]

    def open_because(self, ask: Ask, at: float, scenario: str) -> str:
        """Say why a message could be taken for unanswered at a time; nothing if it could not."""
        answer = self.answers.get(ask.id)
        told = scenario in ENDED_BY_AUI
        if answer is None:
            if told:
                return "AUI ended it without an answer"
            killed = any(ask.at <= fault.began <= at for fault in self.of(FaultKind.SANDBOX_KILL))
            return "AUI was killed while answering" if killed else "AUI never answered"
        if answer.visible_at <= at - LAST_MOMENT:
            return ""
        if at - ask.at <= (PATIENCE_TOLD if told else PATIENCE):
            return ""  # it was being answered, and nobody can have waited long enough
        return "AUI answered too late"

    def excuse(self, jobs: Sequence[PlannedJob], first: Ask, again: Ask) -> str:
        """Say why it had to be sent again although it was answered; nothing if it had not."""
        for fault in self.of(FaultKind.WORKER_STOP):
            if fault.ended <= again.at <= fault.ended + LAST_MOMENT:
                return "a stopped worker woke up in the middle of sending"
        twice = any(self.publishes[job.job_id] > 1 for job in jobs)
        moved = any(
            fault.kind in DISTURBING and fault.began <= again.at and fault.ended >= first.at
            for fault in self.faults
        )
        return "published twice, and its worker was disturbed between" if twice and moved else ""

    def of(self, kind: FaultKind) -> Iterator[Happened]:
        return (fault for fault in self.faults if fault.kind == kind)


def _judge(
    jobs: Sequence[PlannedJob], asks: Sequence[Ask], history: _History, found: Repeats
) -> None:
    """Count the repeats of one text: all beyond one a job.

    Of several jobs with the same text nobody can say which message was whose. But when as many
    messages are answered, or still being answered, as there are jobs, no further one is needed.
    """
    scenario = jobs[0].scenario
    extra = len(asks) - len(jobs)
    for place, ask in enumerate(asks):
        reasons = [history.open_because(earlier, ask.at, scenario) for earlier in asks[:place]]
        if reasons.count("") < len(jobs):
            continue
        extra -= 1
        if excuse := history.excuse(jobs, asks[0], ask):
            found.justified[excuse] += 1
        else:
            found.unjustified.append(_told(jobs, ask, asks[:place], history))
    if extra:
        open_at_last = (history.open_because(ask, asks[-1].at, scenario) for ask in asks[:-1])
        reasons = [reason for reason in open_at_last if reason]
        found.justified.update(reasons[:extra])


def _told(jobs: Sequence[PlannedJob], ask: Ask, earlier: Sequence[Ask], history: _History) -> str:
    lines = []
    for before in earlier:
        answer = history.answers.get(before.id)
        became = "unanswered"
        if answer is not None:
            became = f"answered {answer.visible_at - before.at:.2f} s later"
        lines.append(f"{before.at:.2f} ({became})")
    ids = ", ".join(job.job_id for job in jobs)
    return f"{ids} {jobs[0].text!r}: sent at {ask.at:.2f}, before that at {'; '.join(lines)}"
