"""Holds what a fleet left behind against its promise: a conversation stays a conversation.

All that a run with faults must keep (``checker``), and of a fleet, whose agent fails but with 1011:

F1  the turns of a task do not overlap. A turn is one message as the agent got it: it begins when
    the message is in the task's history and ends when the answer is, or when AUI ends it without
    one. That is the agent's time, so the turn of a worker that is killed goes on to its end, and
    nobody may ask before: there is no exception.
F2  the messages of a task come to the agent in the order of publishing; one that is sent again
    comes before the next one
F3  a subscriber gets the first end of each job before anything of the next job of its task
F4  every job is answered, and none is dead
F5  a job ends once; again only after a worker was killed, or the broker was silent for so long
    that a worker gave up its link, which is listed
F6  all workers work: side by side where partitions are spread, else one after another
F7  no link is lost for another reason: nothing here disturbs one
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf

from case import FAILED, FINAL, Case
from checker import WINDOW, check
from fleet_plan import WORKERS, ChangeKind, FleetPlan
from records import Ask, Evidence, Happened
from report import Report

JOB_ENDED, LINK_LOST = "job ended", "link lost: "
GOES: Mapping[str, str] = {ChangeKind.STOP: "SIGTERM", ChangeKind.KILL: "SIGKILL"}
SILENCE = ("the broker has not answered", "the broker fell silent")
"""Why a link may be lost: the broker, or the whole machine, is overloaded."""
ABANDONED = 75.0
"""Seconds for which a worker may go on with a job that went with its link."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as the agent got it; ``ended`` is infinite where that never came."""

    ask: Ask
    ended: float


@dataclass(frozen=True, slots=True)
class Line:
    """What a worker has logged."""

    at: float
    worker: str
    message: str

    @property
    def silence(self) -> bool:
        """It tells of a link that was lost since the broker was silent."""
        return any(why in self.message for why in SILENCE)


def check_fleet(plan: FleetPlan, evidence: Evidence, grace: float, *, spread: bool) -> Report:
    """Check every invariant.

    Args:
        plan: what was to happen.
        evidence: what did.
        grace: the workers' grace period, in seconds.
        spread: the broker moves partitions between workers; else they only fail over.
    """
    report = check(plan.asked, evidence, grace)
    case = Case.of(plan.asked, evidence)
    ends = lines(evidence.logs, JOB_ENDED)
    lost = lines(evidence.logs, LINK_LOST)
    periods = work(evidence.faults, ends)
    _count(plan, case, report)
    report.counts["links lost to a silent broker"] = sum(line.silence for line in lost)
    report.add("F1 overlapping turns", _overlaps(evidence))
    report.add("F2 out of order", _disorder(case))
    report.add("F3 ends out of order", _mixed_ends(case))
    report.add("F4 not answered", _not_answered(case))
    report.add("F5 ended again", _repeats(case, lost, report.excepted))
    report.add("F6 idle", _idle(periods, spread=spread))
    report.add("F7 links", (f"{line.worker}: {line.message}" for line in lost if not line.silence))
    report.tables["Jobs ended by each worker"] = _shares(periods)
    return report


def _count(plan: FleetPlan, case: Case, report: Report) -> None:
    ends = [reply.at for reply in case.evidence.replies if reply.terminal]
    begin = min(case.accepted.values(), default=0.0)
    kinds = Counter(fault.kind for fault in case.evidence.faults)
    report.counts |= {
        "conversations": plan.asked.tasks,
        "messages in each": plan.messages,
        "messages that the agent got": len(case.evidence.asks),
        "turns that AUI ended with 1011": len(case.evidence.unanswered),
        "workers stopped (SIGTERM)": kinds[ChangeKind.STOP],
        "workers killed (SIGKILL)": kinds[ChangeKind.KILL],
        "published within, s": round(max(case.accepted.values(), default=begin) - begin),
        "ended within, s": round(max(ends, default=begin) - begin),
    }


def _turns(evidence: Evidence) -> Mapping[str, Sequence[Turn]]:
    """Return the turns of each task, in the order in which they began."""
    ended = {answer.answers: answer.at for answer in evidence.answers}
    turns: dict[str, list[Turn]] = defaultdict(list)
    for ask in evidence.asks:
        turns[ask.task_id].append(
            Turn(ask, ended.get(ask.id, evidence.unanswered.get(ask.id, inf)))
        )
    return turns


def _overlaps(evidence: Evidence) -> Iterator[str]:
    for task, turns in _turns(evidence).items():
        busy = turns[0]
        for turn in turns[1:]:
            if turn.ask.at < busy.ended:
                yield (
                    f"{task}: {turn.ask.text!r} at {turn.ask.at:.3f}, while"
                    f" {busy.ask.text!r}, asked at {busy.ask.at:.3f}, went on to {busy.ended:.3f}"
                )
            busy = max(busy, turn, key=lambda each: each.ended)


def _disorder(case: Case) -> Iterator[str]:
    """Tell of messages that came to the agent after a later one of their task, resent or not."""
    number = {job.text: job.number for job in case.plan.jobs}
    newest: dict[str, int] = defaultdict(lambda: -1)
    for ask in case.evidence.asks:
        told = number.get(ask.text, -1)
        if told < newest[ask.task_id]:
            yield f"{ask.task_id}: {ask.text!r} after job {newest[ask.task_id]}"
        newest[ask.task_id] = max(newest[ask.task_id], told)


def _mixed_ends(case: Case) -> Iterator[str]:
    """Tell of replies to a job that came before the first end of the job before it."""
    before: dict[str, str] = {}
    last: dict[int | None, str] = {}
    for job in case.plan.jobs:
        if job.task in last:
            before[job.job_id] = last[job.task]
        last[job.task] = job.job_id
    ended, told = set(), set()
    for reply in case.evidence.replies:
        earlier = before.get(reply.job_id)
        if earlier is not None and earlier not in ended and reply.job_id not in told:
            told.add(reply.job_id)
            yield f"{reply.job_id}: {reply.type} before the end of {earlier}"
        if reply.terminal:
            ended.add(reply.job_id)


def _not_answered(case: Case) -> Iterator[str]:
    for job in case.plan.jobs:
        if not case.ends(job.job_id, FINAL):
            yield f"{job.job_id}: no final"
        for failed in case.ends(job.job_id, FAILED):
            yield f"{job.job_id}: failed, {failed.headers.get('aui-reason')}"
        if job.job_id in case.letters:
            yield f"{job.job_id}: dead"


def _repeats(case: Case, lost: Sequence[Line], excepted: list[str]) -> Iterator[str]:
    """Tell of jobs that ended again, though nothing came between confirm and ack."""
    kills = {
        fault.began: f"{fault.hit} was killed"
        for fault in case.evidence.faults
        if fault.kind == ChangeKind.KILL
    }
    losses = {line.at: f"{line.worker}: {line.message}" for line in lost if line.silence}
    for job_id in case.jobs:
        ends = case.ends(job_id, FINAL, FAILED)
        for first, again in pairwise(ends):
            told = f"{job_id}: ended at {first.at:.2f} and {again.at:.2f}"
            cause = ""
            if again.delivery > first.delivery:
                cause = _between(first.at - WINDOW, again.at, kills)
            if again.delivery != first.delivery:
                cause = cause or _between(first.at - ABANDONED, again.at, losses)
            if cause:
                excepted.append(f"{told}: {cause}")
            else:
                yield told


def _between(since: float, until: float, causes: Mapping[float, str]) -> str:
    """Say what took a job from its worker at such a time; nothing if nothing did."""
    return next((why for at, why in causes.items() if since <= at <= until), "")


def lines(logs: Mapping[str, str], part: str) -> list[Line]:
    """Read from the workers' logs the lines with some words in their message.

    Args:
        logs: what each life of each worker wrote, by file: ``worker-<name>.<life>.log``.
        part: the words.
    """
    found = []
    for file, text in logs.items():
        worker = file.removeprefix("worker-").partition(".")[0]
        for line in text.splitlines():
            if part in line:
                told = json.loads(line)
                at = datetime.fromisoformat(told["time"]).timestamp()
                found.append(Line(at, worker, told["message"]))
    return found


@dataclass(frozen=True, slots=True)
class Period:
    """From one change to the next; ``jobs`` counts those that each worker has ended in it."""

    began: float
    title: str
    jobs: Counter[str]


def work(changes: Sequence[Happened], ends: Sequence[Line]) -> list[Period]:
    """Count the jobs that each worker has ended, by period; the last one is that of all workers.

    A worker that goes and comes back makes two of them: while it is away, and after.
    """
    bounds = [(0.0, "one worker")]
    for change in sorted(changes, key=lambda change: change.began):
        if change.kind != ChangeKind.START:
            bounds.append((change.began, f"{change.hit} goes ({GOES[change.kind]})"))
        bounds.append((change.ended, f"{change.hit} is there"))
    periods = []
    for (began, title), (until, _) in zip(bounds, [*bounds[1:], (inf, "")], strict=True):
        jobs = Counter(end.worker for end in ends if began <= end.at < until)
        periods.append(Period(began, title, jobs))
    return periods


def _idle(periods: Sequence[Period], *, spread: bool) -> Iterator[str]:
    last = periods[-1]
    jobs = last.jobs if spread else sum((period.jobs for period in periods), Counter[str]())
    for worker in WORKERS:
        if not jobs[worker]:
            yield f"{worker} ended no job" + (f" after {last.title!r}" if spread else "")


def _shares(periods: Sequence[Period]) -> list[str]:
    """Tabulate the jobs that each worker has ended, by period and in all."""
    rows = [(period.title, period.jobs) for period in periods]
    rows.append(("**in all**", sum((period.jobs for period in periods), Counter[str]())))
    return [
        f"| since | {' | '.join(WORKERS)} |",
        f"|---|{'---:|' * len(WORKERS)}",
        *(
            f"| {title} | {' | '.join(str(jobs[worker]) for worker in WORKERS)} |"
            for title, jobs in rows
        ),
    ]
