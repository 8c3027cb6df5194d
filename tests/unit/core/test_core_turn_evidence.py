"""The order of evidence in a turn: the first wins, and 1008 weighs more than any error frame."""

import pytest

from tests.unit.core.builders import DOCS_UPDATE, FINAL, error_frame, frame
from tests.unit.core.plays import Step, closed, ended, got, no_close, play, refused, verdict_of
from tests.unit.core.test_core_turn import CLOSES, ENDINGS, STATUSES
from worker.core.verdict import COMPLETED, Kind, Source, judge

LATE: list[Step] = [
    got(DOCS_UPDATE),
    got(FINAL),
    got(FINAL.replace(b"507f", b"608f")),
    got(error_frame(401)),
    got(error_frame(500)),
    got(b"garbage"),
    got(b"{}"),
    closed(1000),
    closed(1008),
    closed(1011),
    no_close,
    ended(Source.IDLE_TIMEOUT),
    ended(Source.LOCAL_CLOSE, 1009),
    ended(Source.DEADLINE),
    refused(judge(Source.STATUS, 401)),
]
NO_STATUS = frame(detail="Something went wrong")


@pytest.mark.parametrize("late", LATE)
def test_a_final_wins_whatever_comes_after(late: Step) -> None:
    turn = play(got(FINAL), late)
    assert turn.verdict is COMPLETED
    assert turn.final is not None
    assert turn.final.raw == FINAL


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize(
    "first",
    [
        closed(1000),
        closed(1008),
        closed(1011),
        ended(Source.FIRST_TEXT_TIMEOUT),
        ended(Source.LOCAL_CLOSE, 1011),
        got(b"garbage"),
        refused(judge(Source.STATUS, 503)),
    ],
)
def test_late_input_changes_nothing(first: Step, late: Step) -> None:
    before, after = play(got(DOCS_UPDATE), first), play(got(DOCS_UPDATE), first, late)
    assert after.verdict == before.verdict
    assert (after.text, after.final, after.ignored) == (before.text, None, {})
    assert after.receive(DOCS_UPDATE) is None


@pytest.mark.parametrize("status", STATUSES)
def test_1008_rejects_with_the_reason_of_the_frame_before_it(status: int) -> None:
    verdict = play(got(error_frame(status, message="told")), closed(1008, "bye")).verdict
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == (Kind.REJECTED, STATUSES[status][1])
    assert (verdict.status_code, verdict.close_code) == (status, 1008)
    assert (verdict.detail, verdict.error) == ("told", error_frame(status, message="told"))


@pytest.mark.parametrize("raw", [NO_STATUS, frame(status_code="?", message="m")])
def test_1008_after_a_frame_without_status_is_a_policy_violation(raw: bytes) -> None:
    verdict = play(got(raw), closed(1008)).verdict
    assert verdict is not None
    assert (verdict.kind, verdict.reason) == (Kind.REJECTED, "policy_violation")
    assert verdict.close_code == 1008
    assert verdict.error is not None


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_decides_over_every_other_close(status: int) -> None:
    codes = [code for code in CLOSES if code != 1008]
    frame_of = got(error_frame(status))
    judged = {code: verdict_of(frame_of, closed(code)) for code in codes}
    assert judged == dict.fromkeys(codes, STATUSES[status])
    verdicts = [play(frame_of, closed(code)).verdict for code in codes]
    assert [verdict and verdict.close_code for verdict in verdicts] == codes
    assert {verdict and verdict.status_code for verdict in verdicts} == {status}
    assert {verdict and verdict.error for verdict in verdicts} == {error_frame(status)}


@pytest.mark.parametrize("code", CLOSES)
def test_without_a_status_the_close_code_decides(code: int) -> None:
    verdict = play(got(NO_STATUS), closed(code)).verdict
    assert verdict is not None
    assert (str(verdict.kind), verdict.reason) == CLOSES[code]
    assert (verdict.status_code, verdict.close_code) == (None, code)
    assert verdict.detail == "Something went wrong"
    assert verdict.error is not None
    assert b"Something went wrong" in verdict.error


def test_without_status_and_close_code_the_frame_is_all_there_is() -> None:
    verdict = play(got(NO_STATUS), no_close).verdict
    assert verdict is not None
    assert (str(verdict.kind), verdict.reason) == ("interrupted", "upstream_error")
    assert (verdict.status_code, verdict.close_code) == (None, None)
    assert verdict.detail == "Something went wrong"


@pytest.mark.parametrize(
    "ending",
    [
        ended(Source.LOCAL_CLOSE, 1009),
        ended(Source.LOCAL_CLOSE, 1011),
        ended(Source.CONNECTION_LOST),
        ended(Source.IDLE_TIMEOUT),
        ended(Source.DEADLINE),
    ],
)
def test_an_error_frame_decides_over_every_ending_that_is_not_the_servers(ending: Step) -> None:
    judged = {status: verdict_of(got(error_frame(status)), ending) for status in STATUSES}
    assert judged == STATUSES


@pytest.mark.parametrize("late", [DOCS_UPDATE, FINAL, error_frame(401), b"garbage", b"{}"])
def test_a_frame_after_an_error_frame_changes_nothing(late: bytes) -> None:
    turn = play(got(error_frame(500)))
    assert turn.receive(late) is None
    assert (turn.closing, turn.verdict, turn.final, turn.text) == (True, None, None, "")
    turn.no_close_came()
    assert turn.verdict == play(got(error_frame(500)), no_close).verdict


def test_a_close_code_is_awaited_from_the_error_frame_to_the_verdict() -> None:
    turn = play(got(DOCS_UPDATE))
    awaited = [turn.closing]
    turn.receive(error_frame(500))
    awaited.append(turn.closing)
    turn.closed_by_server(1011)
    awaited.append(turn.closing)
    assert awaited == [False, True, False]


@pytest.mark.parametrize("prior", [[], [got(DOCS_UPDATE)]], ids=["no text", "text"])
def test_no_close_code_means_nothing_without_an_error_frame(prior: list[Step]) -> None:
    assert verdict_of(*prior, no_close) is None


@pytest.mark.parametrize(("ending", "expected"), ENDINGS)
def test_one_ending_after_another_leaves_the_first(ending: Step, expected: tuple[str, str]) -> None:
    assert verdict_of(ending, *LATE) == expected
