"""Holds what a run left behind against the promises: a pure function, with a report as its value.

I1  every accepted job has a terminal reply, and every failed one is kept as a dead letter
I2  no job is both answered and failed or dead (kills between confirm and ack excepted)
I3  the updates of an attempt are a chain of prefixes, numbered upwards, none after its end
I4  nothing of one task in another
I5  the agent is not asked twice without need
I6  a worker that is told to stop ends with 0, within its grace
I7  no secret and no mishap in what workers wrote and sent
I8  the jobs of a task are asked in the order in which they were published
"""

from __future__ import annotations

from collections.abc import Iterator

from asked_twice import DISTURBING, repeats
from case import FAILED, FINAL, Case
from conduct import exits, floods, leaks, mishaps, stops
from records import Evidence, Reply
from report import Report
from schedule import REJECTED, Plan
from streams import chains, crosstalk, order

STORM = 5
DESERVED = {
    *("bad_request", "policy_violation", "internal_error", "upstream_error", "rate_limited"),
    *("service_restart", "try_again_later", "connection_lost", "connection_failed", "timeout"),
    *("garbage_frame", "deadline_exceeded"),
}
"""Why a job of a plan may fail: AUI says so, or stays away for too long."""
JOBS = ("aui.jobs.", "aui.dropped")
WINDOW = 15.0
"""Seconds in which an ack may be lost with a link whose death nobody has noticed yet."""


def check(plan: Plan, evidence: Evidence, grace: float) -> Report:
    """Check every invariant.

    Args:
        plan: what was to happen.
        evidence: what did.
        grace: the workers' grace period, in seconds.
    """
    case = Case.of(plan, evidence)
    report = Report()
    _count(case, report)
    report.add("I1 lost", _lost(case))
    report.add("I1 not ended in time", _unfinished(case))
    report.add("I1 failed, but no letter", _unkept(case))
    report.add("I1 given up without need", _given_up(case, report.excepted))
    report.add("I1 left in a queue", (f"{one.queue}: {one.messages}" for one in evidence.left))
    report.add("I1 unexpected", _unexpected(case))
    report.add("I2 both answered and failed", _both(case, report.excepted))
    report.add("I3 updates", chains(case))
    report.add("I4 cross-talk", crosstalk(case))
    asked = repeats(plan, evidence)
    report.justified = asked.justified
    report.counts["asked twice, justified"] = asked.justified.total()
    report.counts["asked twice, unjustified"] = len(asked.unjustified)
    report.add("I5 asked twice", asked.unjustified)
    report.add("I6 stopping", stops(evidence, grace))
    report.add("I7 exits", exits(evidence))
    report.add("I7 secrets", leaks(evidence))
    report.add("I7 mishaps", mishaps(evidence))
    report.add("I7 floods", floods(evidence))
    report.add("I8 order", order(case))
    return report


def _count(case: Case, report: Report) -> None:
    finals = {job for job in case.replies if case.ends(job, FINAL)}
    failed = {job for job in case.replies if case.ends(job, FAILED)}
    surplus = 0
    for job_id in case.replies:
        for kind in (FINAL, FAILED):
            surplus += max(0, len(case.ends(job_id, kind)) - max(1, case.copies.get(job_id, 1)))
    terminals = [reply for reply in case.evidence.replies if reply.terminal]
    expected = {job.job_id for job in case.plan.jobs if job.scenario in REJECTED}
    report.counts |= {
        "attempted": sum(not publish.accepted for publish in case.evidence.published),
        "accepted": len(case.accepted),
        "answered": len(finals),
        "failed": len(failed),
        "failed, unexpectedly": len(failed - expected - finals),
        "dead": len(case.letters),
        "unclaimed": sum(reply.place != "hub" for reply in terminals),
        "lost": len(list(_lost(case))),
        "not ended in time": len(list(_unfinished(case))),
        "duplicated": surplus,
        "unexpected": len(list(_unexpected(case))),
        "recovered": sum(bool(reply.headers.get("aui-recovered")) for reply in terminals),
    }


def _lost(case: Case) -> Iterator[str]:
    """Tell of accepted jobs that have no end, and are not all in their queues still."""
    endless = list(_endless(case))
    if len(endless) > _left_jobs(case):
        yield from endless


def _unfinished(case: Case) -> Iterator[str]:
    endless = list(_endless(case))
    if len(endless) <= _left_jobs(case):
        yield from endless


def _endless(case: Case) -> Iterator[str]:
    for job_id in case.accepted:
        if not case.ends(job_id, FINAL, FAILED):
            kept = " (kept in aui.dead)" if job_id in case.letters else ""
            text = case.jobs[job_id].text if job_id in case.jobs else ""
            yield f"{job_id} {text!r} accepted at {case.accepted[job_id]:.2f}{kept}"


def _left_jobs(case: Case) -> int:
    return sum(left.messages for left in case.evidence.left if left.queue.startswith(JOBS))


def _unkept(case: Case) -> Iterator[str]:
    for job_id in case.replies:
        if case.ends(job_id, FAILED) and job_id not in case.letters:
            yield job_id


def _given_up(case: Case, excepted: list[str]) -> Iterator[str]:
    """Tell of jobs that failed, though neither AUI nor the way to it gave a reason.

    A job that is handed out ten times is given up as a crasher. Each fault between a worker and the
    broker costs up to two hand-overs, one for either worker, so five of them are an excuse.
    """
    for job_id in case.replies:
        for failed in case.ends(job_id, FAILED):
            reason = failed.headers.get("aui-reason")
            if reason in DESERVED:
                continue
            told = f"{job_id}: {reason} at {failed.at:.2f}"
            since = case.accepted.get(job_id, failed.at)
            met = [
                fault
                for fault in case.evidence.faults
                if fault.kind in DISTURBING and since <= fault.ended and fault.began <= failed.at
            ]
            if reason == "poison_job" and len(met) >= STORM:
                excepted.append(f"{told}: {len(met)} faults took it from its worker")
            else:
                yield told


def _unexpected(case: Case) -> Iterator[str]:
    """Tell of replies to, and letters about, jobs that nobody published."""
    yield from (f"reply to {job}" for job in case.replies if job not in case.copies)
    yield from (f"letter about {job}" for job in case.letters if job not in case.copies)
    texts = {job.text for job in case.plan.jobs}
    yield from (f"asked {ask.text!r}" for ask in case.evidence.asks if ask.text not in texts)


def _both(case: Case, excepted: list[str]) -> Iterator[str]:
    """Tell of jobs that ended in both ways; those with an excuse are listed apart."""
    for job_id in case.replies:
        finals = case.ends(job_id, FINAL)
        if not finals:
            continue
        ended = [(reply.at, reply.delivery) for reply in case.ends(job_id, FAILED)]
        # A letter of a failure that is told has its moment already.
        ended = ended or [(letter.at, -1) for letter in case.letters.get(job_id, ())]
        for at, delivery in ended:
            told = f"{job_id}: final at {finals[0].at:.2f}, failed or dead at {at:.2f}"
            excuse = _excuse(case, job_id, finals[0], at, delivery)
            if excuse:
                excepted.append(f"{told}: {excuse}")
            else:
                yield told


def _excuse(case: Case, job_id: str, final: Reply, at: float, delivery: int) -> str:
    if case.copies.get(job_id, 1) > 1:
        return "published more than once"
    first = min(final.at, at)
    if final.delivery != delivery:
        for fault in case.evidence.faults:
            if (
                fault.kind in DISTURBING
                and fault.began - 1 <= first + WINDOW
                and (fault.ended >= first - WINDOW)
            ):
                return f"{fault.kind} between confirm and ack"
    return ""
