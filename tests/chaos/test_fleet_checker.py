"""The fleet's checker can fail: each promise is broken once, in records made by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fleet_checker import JOB_ENDED, check_fleet, lines, work
from fleet_plan import Change, ChangeKind, FleetPlan
from records import Answer, Ask, Evidence, Happened, Left, Letter, Published, Reply
from report import Report
from schedule import Plan, PlannedJob

TASKS = ("t0", "t1")
FIRST = PlannedJob(0, "j0", "a microwave (j0)", task=0)
SECOND = PlannedJob(1, "j1", "!1011 after=1 times=1 | the cheapest (j1)", "1011", task=0)
THIRD = PlannedJob(2, "j2", "thank you (j2)", task=0)
OTHER = PlannedJob(3, "j3", "a fridge (j3)", task=1)
JOBS = (FIRST, SECOND, THIRD, OTHER)
PLAN = FleetPlan(Plan(7, 2, JOBS, ()), 2, (Change(0, ChangeKind.START, 1, 1),), 3)
KILL = Happened(3, ChangeKind.KILL, 14.0, 16.0, "w2")


def asked(job: PlannedJob, at: float, number: int = 1) -> Ask:
    """Return a message of a job as AUI got it."""
    return Ask(f"ask-{job.job_id}-{number}", at, at, TASKS[job.task or 0], job.text)


def answered(ask: Ask, at: float) -> Answer:
    """Return the answer to it."""
    return Answer(f"answer-{ask.id}", at, at, ask.task_id, "…", ask.id)


def final(job: PlannedJob, answer: Answer, at: float, attempt: int = 1) -> Reply:
    """Return the final that hands on an answer."""
    return _reply(job, at, "final", "message.completed", {"id": answer.id}, attempt)


def update(job: PlannedJob, at: float) -> Reply:
    """Return an update."""
    return _reply(job, at, "update", "message.updated", {"data": {"text": "I"}}, 1)


def _reply(
    job: PlannedJob, at: float, kind: str, type_: str, body: Mapping[str, Any], attempt: int
) -> Reply:
    task = TASKS[job.task or 0]
    headers = {"aui-job-id": job.job_id, "aui-task-id": task, "aui-attempt": attempt, "aui-seq": 1}
    key = f"fleet.default.{task}.{kind}"
    return Reply(
        at, "hub", key, type_, f"{job.job_id}:{attempt}:1", headers, json.dumps(dict(body))
    )


def log(*seconds: int, message: str = "job ended") -> str:
    """Return what a worker writes that has something to tell at these seconds of a minute."""
    told = [{"time": "2026-11-22T04:00:00.000+00:00", "message": "ready"}]
    for second in seconds:
        time = f"2026-11-22T04:00:{second:02d}.000+00:00"
        told.append({"time": time, "level": "info", "message": message})
    return "\n".join(map(json.dumps, told))


START = 1795320000.0
"""The minute in which these logs are written, in seconds since 1970."""

ASKS = (asked(FIRST, 2.0), asked(SECOND, 4.0), asked(SECOND, 6.0, 2), asked(THIRD, 8.0))
ASKED = (*ASKS, asked(OTHER, 2.5))
ANSWERS = (
    answered(ASKED[0], 3.0),
    answered(ASKED[2], 7.0),
    answered(ASKED[3], 9.0),
    answered(ASKED[4], 9.5),
)
FINALS = (
    final(FIRST, ANSWERS[0], 3.1),
    final(SECOND, ANSWERS[1], 7.1),
    final(THIRD, ANSWERS[2], 9.1),
    final(OTHER, ANSWERS[3], 9.6),
)
GOOD = Evidence(
    tasks=TASKS,
    published=[Published(1.0, job.job_id, accepted) for job in JOBS for accepted in (False, True)],
    replies=FINALS,
    asks=ASKED,
    answers=ANSWERS,
    unanswered={ASKED[1].id: 5.0},
    faults=(
        Happened(0, ChangeKind.START, START, START + 1, "w2"),
        Happened(1, ChangeKind.START, START + 2, START + 3, "w3"),
        Happened(2, ChangeKind.STOP, START + 20, START + 30, "w1"),
    ),
    logs={
        "worker-w1.1.log": log(1),
        "worker-w1.2.log": log(40, 41),
        "worker-w2.1.log": log(25, 50),
        "worker-w3.1.log": log(59),
    },
)


def judged(*, spread: bool = True, **changed: Any) -> Report:
    """Check the good evidence with something changed."""
    return check_fleet(PLAN, replace(GOOD, **changed), 5.0, spread=spread)


def test_a_good_run_is_valid_and_counted() -> None:
    report = judged()
    assert report.valid, report.breaches
    assert report.excepted == []
    counted = {
        "accepted": 4,
        "answered": 4,
        "asked twice, justified": 1,
        "asked twice, unjustified": 0,
        "conversations": 2,
        "messages that the agent got": 5,
        "turns that AUI ended with 1011": 1,
        "workers stopped (SIGTERM)": 1,
        "workers killed (SIGKILL)": 0,
        "ended within, s": 9,
    }
    assert counted.items() <= report.counts.items()


def test_a_turn_that_begins_before_the_one_before_it_is_answered() -> None:
    early = replace(ASKED[1], at=2.9)
    assert list(judged(asks=(ASKED[0], early, *ASKED[2:])).breaches) == ["F1 overlapping turns"]


def test_a_message_that_is_sent_again_before_aui_has_ended_it() -> None:
    report = judged(unanswered={ASKED[1].id: 6.1})
    assert list(report.breaches) == ["F1 overlapping turns"]


def test_a_turn_within_a_long_one_does_not_hide_the_next() -> None:
    """The third begins after the end of the second, but not of the first."""
    report = judged(answers=(replace(ANSWERS[0], at=8.5), *ANSWERS[1:]))
    assert len(report.breaches["F1 overlapping turns"]) == 3


def test_a_turn_without_an_end_overlaps_what_comes_after() -> None:
    assert list(judged(unanswered={}).breaches) == ["F1 overlapping turns"]


def test_the_turns_of_two_tasks_may_overlap() -> None:
    assert ASKED[0].at < ASKED[4].at < ANSWERS[0].at
    assert judged().valid


def test_messages_out_of_order() -> None:
    asks = (ASKED[0], replace(ASKED[3], at=4.0), replace(ASKED[2], at=8.0), ASKED[4])
    answers = (ANSWERS[0], replace(ANSWERS[2], at=5.0), replace(ANSWERS[1], at=9.0), ANSWERS[3])
    report = judged(asks=asks, answers=answers, unanswered={})
    assert list(report.breaches) == ["I8 order", "F2 out of order"]


def test_a_message_that_is_sent_again_after_the_next_one() -> None:
    asks = (ASKED[0], ASKED[1], replace(ASKED[3], at=6.0), replace(ASKED[2], at=8.0), ASKED[4])
    answers = (ANSWERS[0], replace(ANSWERS[2], at=7.0), replace(ANSWERS[1], at=9.0), ANSWERS[3])
    assert list(judged(asks=asks, answers=answers).breaches) == ["F2 out of order"]


def test_a_reply_before_the_end_of_the_job_before_it() -> None:
    early = update(SECOND, 3.05)
    assert list(judged(replies=(early, *FINALS)).breaches) == ["F3 ends out of order"]
    assert judged(replies=(FINALS[0], early, *FINALS[1:])).valid


def test_a_job_without_an_answer() -> None:
    report = judged(replies=FINALS[:-1])
    assert list(report.breaches) == ["I1 lost", "F4 not answered"]


def test_a_job_that_failed_and_is_dead() -> None:
    failed = replace(FINALS[3], type="message.failed", body="{}")
    failed = replace(failed, headers={**failed.headers, "aui-reason": "internal_error"})
    dead = Letter(9.0, "…", OTHER.job_id, {}, json.dumps({"text": OTHER.text}))
    report = judged(replies=(*FINALS[:3], failed), letters=(dead,))
    assert list(report.breaches) == ["F4 not answered"]
    assert report.breaches["F4 not answered"] == [
        "j3: no final",
        "j3: failed, internal_error",
        "j3: dead",
    ]


def test_a_job_that_comes_back_when_all_has_ended() -> None:
    assert list(judged(left=(Left("aui.jobs.fleet.p03", 1),)).breaches) == ["I1 left in a queue"]


def test_a_message_that_is_sent_again_though_it_was_answered() -> None:
    again, late = asked(OTHER, 50.0, 2), Answer("late", 51.0, 51.0, "t1", "…", "ask-j3-2")
    report = judged(asks=(*ASKED, again), answers=(*ANSWERS, late), faults=(KILL, *GOOD.faults))
    assert list(report.breaches) == ["I5 asked twice"]


@pytest.mark.parametrize(
    ("kind", "began", "attempt", "excused"),
    [
        (ChangeKind.KILL, 14.0, 65, True),
        (ChangeKind.KILL, 14.0, 2, False),
        (ChangeKind.KILL, 30.0, 65, False),
        (ChangeKind.STOP, 14.0, 65, False),
    ],
    ids=["killed", "the same delivery", "killed later", "only told to stop"],
)
def test_a_second_end_of_a_job(kind: ChangeKind, began: float, attempt: int, excused: bool) -> None:
    again = final(OTHER, ANSWERS[3], 20.0, attempt)
    change = Happened(3, kind, began, began + 2, "w2")
    report = judged(replies=(*FINALS, again), faults=(change, *GOOD.faults))
    assert report.valid is excused
    assert list(report.breaches) == ([] if excused else ["F5 ended again"])
    assert len(report.excepted) == excused


@pytest.mark.parametrize(
    ("second", "attempts", "excused"),
    [(9, (1, 65), True), (9, (65, 1), True), (9, (1, 2), False), (11, (1, 65), False)],
    ids=["redelivered", "the first goes on", "the same delivery", "silent later"],
)
def test_a_second_end_of_a_job_after_the_broker_was_silent(
    second: int, attempts: tuple[int, int], excused: bool
) -> None:
    lost = "consuming link lost: the broker has not answered for 8 s"
    logs = {**GOOD.logs, "worker-w2.2.log": log(second, message=lost)}
    ends = [
        final(OTHER, ANSWERS[3], START + at, attempt)
        for at, attempt in zip((8, 10), attempts, strict=True)
    ]
    report = judged(replies=(*FINALS[:3], *ends), logs=logs)
    assert report.counts["links lost to a silent broker"] == 1
    told = f"j3: ended at {START + 8:.2f} and {START + 10:.2f}"
    assert report.excepted == ([f"{told}: w2: {lost}"] if excused else [])
    assert report.breaches == ({} if excused else {"F5 ended again": [told]})


def test_a_link_that_is_lost_for_no_good_reason() -> None:
    lost = "consuming link lost: CHANNEL_ERROR - expected 'channel.open'"
    report = judged(logs={**GOOD.logs, "worker-w2.2.log": log(9, message=lost)})
    assert report.breaches == {"F7 links": [f"w2: {lost}"]}


def test_a_worker_that_idles_where_partitions_are_spread() -> None:
    logs = {**GOOD.logs, "worker-w3.1.log": log(29)}
    assert list(judged(logs=logs).breaches) == ["F6 idle"]
    assert judged(logs=logs, spread=False).valid


def test_a_worker_that_never_worked() -> None:
    logs = {**GOOD.logs, "worker-w3.1.log": log()}
    assert list(judged(logs=logs, spread=False).breaches) == ["F6 idle"]


def test_who_ended_jobs_is_told_by_period() -> None:
    periods = work(GOOD.faults, lines(GOOD.logs, JOB_ENDED))
    assert [(period.title, dict(period.jobs)) for period in periods] == [
        ("one worker", {}),
        ("w2 is there", {"w1": 1}),
        ("w3 is there", {}),
        ("w1 goes (SIGTERM)", {"w2": 1}),
        ("w1 is there", {"w1": 2, "w2": 1, "w3": 1}),
    ]
    assert judged().tables["Jobs ended by each worker"][-2:] == [
        "| w1 is there | 2 | 1 | 1 |",
        "| **in all** | 3 | 2 | 1 |",
    ]
