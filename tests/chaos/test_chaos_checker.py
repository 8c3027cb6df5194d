"""The checker can fail: each promise is broken once, in records made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from asked_twice import repeats
from checker import check
from records import Answer, Ask, Event, Evidence, Exit, Happened, Left, Letter, Published, Reply
from report import Report
from schedule import FaultKind, Plan, PlannedJob

GRACE = 5.0
SECRET = "API_KEY_canary"
TASKS = ("t0", "t1")
JOB = PlannedJob(0, "j0", "a microwave (j0)", task=0)
LOAD = PlannedJob(1, "j1", "!load chunk=5 | a fridge (j1)", "load", 5, task=1)
REFUSED = PlannedJob(2, "j2", "!400 | a fridge (j2)", "400", task=1)
PLAN = Plan(seed=7, tasks=2, jobs=(JOB, LOAD, REFUSED), faults=())
ELSEWHERE: dict[str, Any] = {"aui-task-id": "t1"}
POISON: dict[str, Any] = {"aui-reason": "poison_job"}
TYPES = {"update": "message.updated", "final": "message.completed", "failed": "message.failed"}


def reply(
    job: PlannedJob,
    kind: str,
    body: Mapping[str, Any],
    *,
    seq: int = 1,
    attempt: int = 1,
    at: float = 10.0,
    **headers: Any,
) -> Reply:
    """Return a reply as a right worker would have sent it."""
    task = TASKS[job.task or 0]
    return Reply(
        at,
        "hub",
        f"default.default.{task}.{kind}",
        TYPES[kind],
        f"{job.job_id}:{attempt}:{seq}",
        {"aui-job-id": job.job_id, "aui-task-id": task, "aui-attempt": attempt, "aui-seq": seq}
        | headers,
        json.dumps(body),
    )


def update(job: PlannedJob, text: str, **more: Any) -> Reply:
    """Return an update."""
    return reply(job, "update", {"event": "…", "data": {"text": text}}, **more)


def final(job: PlannedJob, answer: str, **more: Any) -> Reply:
    """Return the final that hands on the answer of this id."""
    return reply(job, "final", {"id": answer, "text": "…"}, **more)


def failed(job: PlannedJob, **more: Any) -> Reply:
    """Return a failure."""
    return reply(job, "failed", {"message": "no"}, **{"aui-reason": "bad_request"} | more)


def letter(job: PlannedJob, at: float = 9.0) -> Letter:
    """Return a dead letter."""
    return Letter(at, "…", job.job_id, {"aui-dead-reason": "…"}, json.dumps({"text": job.text}))


def asked(job: PlannedJob, at: float, *, id_: str = "") -> Ask:
    """Return a message of a job as AUI got it."""
    return Ask(id_ or f"ask-{job.job_id}", at, at, TASKS[job.task or 0], job.text)


def answered(ask: Ask, at: float, *, visible_at: float | None = None) -> Answer:
    """Return the answer to it."""
    shown = at if visible_at is None else visible_at
    return Answer(f"answer-{ask.id}", at, shown, ask.task_id, "…", ask.id)


def published(*jobs: PlannedJob) -> list[Published]:
    """Return the publishes of jobs, tried and accepted."""
    return [Published(1.0, job.job_id, accepted) for job in jobs for accepted in (False, True)]


ASKS = (asked(JOB, 2.0), asked(LOAD, 3.0), asked(REFUSED, 4.0))
GOOD = Evidence(
    tasks=TASKS,
    published=published(*PLAN.jobs),
    replies=(
        update(JOB, "I"),
        update(JOB, "I can", seq=2),
        final(JOB, "answer-ask-j0", seq=3),
        update(LOAD, "12345"),
        update(LOAD, "1234567890", seq=2),
        final(LOAD, "answer-ask-j1", seq=3),
        failed(REFUSED),
    ),
    letters=(letter(REFUSED),),
    asks=ASKS,
    answers=(answered(ASKS[0], 2.5), answered(ASKS[1], 3.5)),
    exits=(Exit(50.0, "worker-0.1", 0, "SIGTERM", 3.0), Exit(51.0, "worker-1.1", -9, "SIGKILL")),
    logs={"worker-0.1.log": '{"message": "ready"}\n'},
    secrets=(SECRET,),
)


def without(events: Iterable[Event], unwanted: Event) -> tuple[Any, ...]:
    """Return events but one."""
    return tuple(event for event in events if event != unwanted)


def judged(**changed: Any) -> Report:
    """Check the good evidence with something changed."""
    return check(PLAN, replace(GOOD, **changed), GRACE)


def with_reply(*more: Reply) -> Report:
    """Check the good evidence with further replies."""
    return judged(replies=(*GOOD.replies, *more))


def test_a_good_run_is_valid_and_counted() -> None:
    report = judged()
    assert report.valid, report.breaches
    assert report.counts == {
        "attempted": 3,
        "accepted": 3,
        "answered": 2,
        "failed": 1,
        "failed, unexpectedly": 0,
        "dead": 1,
        "unclaimed": 0,
        "lost": 0,
        "not ended in time": 0,
        "duplicated": 0,
        "unexpected": 0,
        "recovered": 0,
        "asked twice, justified": 0,
        "asked twice, unjustified": 0,
    }


def test_a_job_without_an_end_is_lost() -> None:
    report = judged(replies=without(GOOD.replies, GOOD.replies[2]))
    assert list(report.breaches) == ["I1 lost"]
    assert report.counts["lost"] == 1


def test_a_job_that_is_in_its_queue_still_is_not_lost() -> None:
    replies = without(GOOD.replies, GOOD.replies[2])
    report = judged(replies=replies, left=[Left("aui.jobs.p03", 1)])
    assert list(report.breaches) == ["I1 not ended in time", "I1 left in a queue"]
    elsewhere = judged(replies=replies, left=[Left("aui.unclaimed", 1)])
    assert list(elsewhere.breaches) == ["I1 lost", "I1 left in a queue"]


def test_a_job_that_was_not_accepted_cannot_be_lost() -> None:
    report = judged(
        published=without(GOOD.published, Published(1.0, JOB.job_id, accepted=True)),
        replies=without(GOOD.replies, GOOD.replies[2]),
    )
    assert report.counts["lost"] == 0


def test_an_end_in_aui_unclaimed_is_an_end() -> None:
    end = replace(GOOD.replies[2], place="unclaimed", key="aui.unclaimed")
    report = judged(replies=(*without(GOOD.replies, GOOD.replies[2]), end))
    assert report.valid, report.breaches
    assert report.counts["unclaimed"] == 1


def test_a_failure_that_is_not_kept() -> None:
    assert list(judged(letters=()).breaches) == ["I1 failed, but no letter"]


def test_a_job_that_is_given_up_without_need() -> None:
    report = judged(replies=(*GOOD.replies[:-1], failed(REFUSED, **POISON)))
    assert list(report.breaches) == ["I1 given up without need"]


@pytest.mark.parametrize(("faults", "excepted"), [(4, False), (5, True)])
def test_a_job_that_is_given_up_in_a_storm_of_faults(faults: int, excepted: bool) -> None:
    end = failed(REFUSED, **POISON)
    storm = tuple(Happened(n, FaultKind.WORKER_KILL, end.at, end.at) for n in range(faults))
    report = judged(replies=(*GOOD.replies[:-1], end), faults=storm)
    assert report.valid is excepted
    assert any("poison_job" in told for told in report.excepted) is excepted


def test_a_letter_without_a_word_to_the_subscribers() -> None:
    report = judged(replies=without(GOOD.replies, GOOD.replies[-1]))
    assert "kept in aui.dead" in report.breaches["I1 lost"][0]


def test_a_job_left_in_its_queue() -> None:
    assert list(judged(left=(Left("aui.jobs.p00", 1),)).breaches) == ["I1 left in a queue"]


def test_what_nobody_asked_for() -> None:
    stranger = replace(JOB, job_id="j9", text="?")
    assert "I1 unexpected" in with_reply(failed(stranger)).breaches
    assert "I1 unexpected" in judged(letters=(*GOOD.letters, letter(stranger))).breaches
    assert "I1 unexpected" in judged(asks=(*ASKS, asked(stranger, 5.0))).breaches


def test_both_answered_and_failed() -> None:
    report = judged(
        replies=(*GOOD.replies, failed(JOB, seq=4)), letters=(*GOOD.letters, letter(JOB))
    )
    assert list(report.breaches) == ["I2 both answered and failed"]


def test_answered_and_dead_without_a_word() -> None:
    report = judged(letters=(*GOOD.letters, letter(JOB)))
    assert list(report.breaches) == ["I2 both answered and failed"]


@pytest.mark.parametrize(
    ("began", "attempt", "excused"),
    [(11.0, 65, True), (11.0, 2, False), (60.0, 65, False), (-60.0, 65, False)],
    ids=["redelivered after a kill", "the same delivery", "a fault too late", "too early"],
)
def test_a_kill_between_confirm_and_ack_is_listed(
    began: float, attempt: int, excused: bool
) -> None:
    report = judged(
        replies=(*GOOD.replies, failed(JOB, attempt=attempt, at=70.0)),
        letters=(*GOOD.letters, letter(JOB)),
        faults=(Happened(0, FaultKind.WORKER_KILL, began, began + 1),),
    )
    assert report.valid == excused
    assert len(report.excepted) == excused


def test_a_repeat_of_the_end_is_a_duplicate_and_no_breach() -> None:
    report = with_reply(final(JOB, "answer-ask-j0", attempt=65))
    assert report.valid, report.breaches
    assert report.counts["duplicated"] == 1


def test_the_second_end_of_a_job_published_twice_is_no_duplicate() -> None:
    report = judged(
        published=(*GOOD.published, *published(JOB)),
        replies=(*GOOD.replies, GOOD.replies[2]),
    )
    assert report.valid, report.breaches
    assert report.counts["duplicated"] == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (update(LOAD, "123", seq=2), "seq 2 after 3"),
        (update(LOAD, "123456789012345", seq=4), "an update after its end"),
    ],
)
def test_a_broken_chain(more: Reply, told: str) -> None:
    assert told in str(with_reply(more).breaches["I3 updates"])


def test_a_text_that_does_not_continue_the_one_before() -> None:
    replies = (*GOOD.replies[:4], update(LOAD, "abcdefghij", seq=2), *GOOD.replies[5:])
    assert "does not continue" in str(judged(replies=replies).breaches["I3 updates"])


def test_a_late_update_of_another_attempt_is_no_breach() -> None:
    assert with_reply(update(LOAD, "12345", attempt=65)).valid


@pytest.mark.parametrize(
    "foreign",
    [
        final(JOB, "answer-ask-j1", attempt=65),
        final(JOB, "nobody's", attempt=65),
        failed(JOB, attempt=65, **ELSEWHERE),
        replace(failed(JOB, attempt=65, **ELSEWHERE), key="default.default.t1.failed"),
        replace(update(JOB, "I", attempt=65), key="default.default.t1.update"),
        update(LOAD, "1234567", attempt=65),
    ],
    ids=[
        "another's answer",
        "no answer",
        "another's task",
        "another task",
        "another's key",
        "another's text",
    ],
)
def test_cross_talk(foreign: Reply) -> None:
    assert "I4 cross-talk" in with_reply(foreign).breaches


def test_a_letter_about_another_job() -> None:
    wrong = replace(letter(REFUSED), body=json.dumps({"text": JOB.text}))
    assert list(judged(letters=(wrong,)).breaches) == ["I4 cross-talk"]


def again(job: PlannedJob, at: float, *before: Ask | Answer, faults: Any = ()) -> Any:
    """Judge a second message of a job, after these."""
    evidence = replace(
        GOOD,
        asks=[*(one for one in before if isinstance(one, Ask)), asked(job, at, id_="again")],
        answers=[one for one in before if isinstance(one, Answer)],
        faults=faults,
    )
    return repeats(replace(PLAN, jobs=(job,)), evidence)


FIRST = asked(JOB, 2.0)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (20.0, answered(FIRST, 3.0)),
        (20.0, answered(FIRST, 3.0, visible_at=18.0)),
        (20.0, answered(FIRST, 25.0)),
        (90.0, answered(FIRST, 80.0)),
    ],
    ids=["answered", "answered and shown late", "being answered", "answered late, and long ago"],
)
def test_asked_twice_without_need(sent: float, answer: Answer) -> None:
    found = again(JOB, sent, FIRST, answer)
    assert len(found.unjustified) == 1
    assert not found.justified
    report = judged(asks=(*ASKS, asked(JOB, sent, id_="again")))
    assert list(report.breaches) == ["I5 asked twice"]


def test_a_fault_alone_is_no_need() -> None:
    kill = Happened(0, FaultKind.WORKER_KILL, 2.5, 4.0)
    assert again(JOB, 20.0, FIRST, answered(FIRST, 3.0), faults=[kill]).unjustified


def test_a_fault_on_the_way_to_aui_excuses_no_double_end() -> None:
    report = judged(
        replies=(*GOOD.replies, failed(JOB, attempt=65, at=70.0)),
        letters=(*GOOD.letters, letter(JOB)),
        faults=(Happened(0, FaultKind.AUI_LINK_RESET, 11.0, 12.0),),
    )
    assert list(report.breaches) == ["I2 both answered and failed"]


def test_asked_again_because_it_stays_unanswered() -> None:
    assert again(JOB, 33.0, FIRST).justified == {"AUI never answered": 1}


def test_asked_again_because_aui_was_killed() -> None:
    kill = Happened(0, FaultKind.SANDBOX_KILL, 2.5, 4.0)
    assert again(JOB, 33.0, FIRST, faults=[kill]).justified == {"AUI was killed while answering": 1}


def test_asked_again_because_the_answer_came_too_late() -> None:
    found = again(JOB, 33.0, FIRST, answered(FIRST, 40.0))
    assert found.justified == {"AUI answered too late": 1}


def test_asked_again_because_aui_said_that_it_failed() -> None:
    job = replace(JOB, text="!1011 | …", scenario="1011")
    first = asked(job, 2.0)
    assert again(job, 4.5, first).justified == {"AUI ended it without an answer": 1}
    assert again(job, 4.5, first, answered(first, 9.0)).justified == {"AUI answered too late": 1}
    assert again(job, 4.5, first, answered(first, 3.0)).unjustified
    assert again(job, 3.0, first, answered(first, 3.5)).unjustified


def test_two_jobs_of_one_text_may_be_asked_twice_and_no_more() -> None:
    twin = replace(JOB, number=3, job_id="j3")
    asks = [asked(JOB, at, id_=f"ask-{at}") for at in (2.0, 4.0, 6.0)]
    answers = [answered(ask, ask.at + 1) for ask in asks]
    plan = replace(PLAN, jobs=(JOB, twin))
    evidence = replace(GOOD, asks=asks[:2], answers=answers)
    assert repeats(plan, evidence).unjustified == []
    assert len(repeats(plan, replace(evidence, asks=asks)).unjustified) == 1
    lost_first = replace(evidence, asks=asks, answers=answers[1:])
    assert repeats(plan, lost_first).justified == {"AUI never answered": 1}


def test_a_job_published_twice_may_be_forgotten_only_over_a_fault() -> None:
    evidence = replace(
        GOOD,
        published=[*published(JOB), *published(JOB)],
        asks=[FIRST, asked(JOB, 9.0, id_="again")],
        answers=[answered(FIRST, 3.0)],
    )
    plan = replace(PLAN, jobs=(JOB,))
    assert repeats(plan, evidence).unjustified
    disturbed = replace(evidence, faults=[Happened(0, FaultKind.WORKER_KILL, 5.0, 6.0)])
    assert repeats(plan, disturbed).justified.total() == 1
    elsewhere = replace(evidence, faults=[Happened(0, FaultKind.AUI_LINK_RESET, 5.0, 6.0)])
    assert repeats(plan, elsewhere).unjustified


def test_a_worker_that_wakes_up_in_the_middle_of_sending() -> None:
    stop = Happened(0, FaultKind.WORKER_STOP, 1.0, 9.0)
    found = again(JOB, 9.2, FIRST, answered(FIRST, 3.0), faults=[stop])
    assert not found.unjustified
    assert found.justified.total() == 1


@pytest.mark.parametrize(
    ("end", "invariant"),
    [
        (Exit(50.0, "worker-0.1", 0, "SIGTERM", 60.0), "I6 stopping"),
        (Exit(50.0, "worker-0.1", 1, "SIGTERM", 1.0), "I6 stopping"),
        (Exit(50.0, "worker-0.1", -9, "SIGTERM", 1.0), "I6 stopping"),
        (Exit(50.0, "worker-0.1", 78), "I7 exits"),
        (Exit(50.0, "worker-0.1", 0), "I7 exits"),
        (Exit(50.0, "worker-0.1", 1, "SIGKILL"), "I7 exits"),
    ],
)
def test_a_worker_that_ends_wrongly(end: Exit, invariant: str) -> None:
    assert list(judged(exits=(*GOOD.exits, end)).breaches) == [invariant]


def test_a_secret_in_what_workers_write_and_send() -> None:
    told = {"told": f"key={SECRET}"}
    for report in (
        judged(logs={"worker-0.1.log": f"?network_api_key={SECRET}"}),
        with_reply(reply(JOB, "failed", told, attempt=65)),
        judged(letters=(replace(GOOD.letters[0], headers=told),)),
    ):
        assert "I7 secrets" in report.breaches


@pytest.mark.parametrize(
    "line",
    [
        '{"exception": "Traceback (most recent call last):\\n …"}',
        "Task was destroyed but it is pending!",
        "RuntimeWarning: coroutine 'f' was never awaited",
        "Task exception was never retrieved",
        "Exception ignored in: <function f>",
        "ResourceWarning: unclosed transport",
    ],
)
def test_a_mishap_in_a_log(line: str) -> None:
    report = judged(logs={"worker-0.1.log": f"ready\n{line}\n"})
    assert list(report.breaches) == ["I7 mishaps"]


def test_a_worker_that_goes_round_in_circles() -> None:
    flood = "".join(
        json.dumps({"time": f"2026-11-22T04:11:58.{n}+00:00", "message": "…"}) + "\n"
        for n in range(501)
    )
    assert list(judged(logs={"worker-0.1.log": flood}).breaches) == ["I7 floods"]
    assert judged(logs={"worker-0.1.log": flood.replace("58.1", "59.1")}).valid


def test_jobs_of_a_task_asked_out_of_order() -> None:
    early = asked(REFUSED, 1.0)
    assert list(judged(asks=(early, *ASKS[:2])).breaches) == ["I8 order"]


def test_the_report_tells_what_broke() -> None:
    written = with_reply(final(JOB, "answer-ask-j1", attempt=65)).markdown("Chaos: seed 7")
    assert "**NOT VALID**" in written
    assert "### I4 cross-talk: 1" in written
    assert "| accepted | 3 |" in written
