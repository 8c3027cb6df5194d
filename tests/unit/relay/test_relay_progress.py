"""The record of a job says when each attempt ended, how far it came, and why."""

from tests.fakes import ManualClock
from worker.core.verdict import Source, judge
from worker.relay.progress import Progress


def test_each_attempt_is_noted_in_order_with_its_time_its_phase_and_its_reason() -> None:
    clock = ManualClock()
    progress = Progress(clock.port)
    progress.note(1, "waiting", judge(Source.SERVER_CLOSE, 1011, detail="AUI closed with 1011"))
    clock.seconds += 1.5
    progress.note(2, "streaming", judge(Source.FINAL))
    first, second = progress.attempts
    assert (first.attempt, first.phase, first.what) == (1, "waiting", "internal_error")
    assert first.detail == "AUI closed with 1011"
    assert first.at == "2026-03-09T14:16:40.000+00:00"
    assert (second.attempt, second.phase, second.what) == (2, "streaming", "completed")
    assert second.at == "2026-03-09T14:16:41.500+00:00"


def test_a_job_begins_without_attempts_text_or_answer() -> None:
    progress = Progress(ManualClock().port)
    assert (progress.attempts, progress.text, progress.final) == ([], "", None)
