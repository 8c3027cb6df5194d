"""The verdict table through a turn: what came decides, with text before it or without."""

import pytest

from tests.unit.core.builders import DOCS_UPDATE, FINAL, SDK_UPDATE, error_frame, frame
from tests.unit.core.plays import Step, closed, ended, got, no_close, play, refused, verdict_of
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Source, judge

PRIOR: list[list[Step]] = [[], [got(DOCS_UPDATE)], [got(SDK_UPDATE), got(b'{"event":"other"}')]]
prior_text = pytest.mark.parametrize("prior", PRIOR, ids=["no text", "text", "text and unknown"])

LOST = ("interrupted", "connection_lost")
PROTOCOL = ("rejected", "protocol_error")
CLOSES = {
    1000: LOST,
    1001: LOST,
    1002: LOST,
    1003: PROTOCOL,
    1004: LOST,
    1005: LOST,
    1006: LOST,
    1007: PROTOCOL,
    1008: ("rejected", "policy_violation"),
    1009: PROTOCOL,
    1010: PROTOCOL,
    1011: ("interrupted", "internal_error"),
    1012: ("interrupted", "service_restart"),
    1013: ("interrupted", "try_again_later"),
    1014: LOST,
    1015: LOST,
    3000: LOST,
    3999: LOST,
    4000: PROTOCOL,
    4001: PROTOCOL,
    4003: PROTOCOL,
    4999: PROTOCOL,
}
STATUSES = {
    200: ("interrupted", "upstream_error"),
    302: ("interrupted", "upstream_error"),
    400: ("rejected", "bad_request"),
    401: ("rejected", "unauthorized"),
    402: ("rejected", "client_error"),
    403: ("rejected", "unauthorized"),
    404: ("rejected", "not_found"),
    405: ("rejected", "client_error"),
    408: ("interrupted", "upstream_error"),
    409: ("rejected", "client_error"),
    422: ("rejected", "unprocessable"),
    425: ("interrupted", "upstream_error"),
    429: ("interrupted", "rate_limited"),
    499: ("rejected", "client_error"),
    500: ("interrupted", "upstream_error"),
    502: ("interrupted", "upstream_error"),
    503: ("interrupted", "upstream_error"),
    599: ("interrupted", "upstream_error"),
}
ENDINGS = [
    (ended(Source.LOCAL_CLOSE, 1009), ("rejected", "reply_too_large")),
    (ended(Source.LOCAL_CLOSE, 1011), LOST),
    (ended(Source.LOCAL_CLOSE, 1002), LOST),
    (ended(Source.CONNECTION_LOST), LOST),
    (ended(Source.CONNECTION_FAILED), ("interrupted", "connection_failed")),
    (ended(Source.CONNECT_TIMEOUT), ("interrupted", "timeout")),
    (ended(Source.FIRST_TEXT_TIMEOUT), ("interrupted", "timeout")),
    (ended(Source.IDLE_TIMEOUT), ("interrupted", "timeout")),
    (ended(Source.DEADLINE), ("rejected", "deadline_exceeded")),
    (ended(Source.BUG), ("rejected", "internal_worker_error")),
    (got(b"garbage"), ("interrupted", "garbage_frame")),
    (got(b"[]"), ("interrupted", "garbage_frame")),
    (got(FINAL), ("completed", "completed")),
    (refused(judge(Source.STATUS, 429)), ("interrupted", "rate_limited")),
]


@prior_text
@pytest.mark.parametrize("code", CLOSES)
def test_a_bare_close_speaks_for_itself(prior: list[Step], code: int) -> None:
    assert verdict_of(*prior, closed(code)) == CLOSES[code]


@prior_text
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_frame_alone_is_judged_by_its_status(prior: list[Step], status: int) -> None:
    assert verdict_of(*prior, got(error_frame(status)), no_close) == STATUSES[status]


@prior_text
@pytest.mark.parametrize(("ending", "expected"), ENDINGS)
def test_every_other_ending(prior: list[Step], ending: Step, expected: tuple[str, str]) -> None:
    assert verdict_of(*prior, ending) == expected


@prior_text
@pytest.mark.parametrize(
    "raw", [b"{}", b'{"event":"other"}', frame(id="m", text="x", sender={"type": "user"})]
)
def test_an_unknown_frame_is_noted_and_decides_nothing(prior: list[Step], raw: bytes) -> None:
    before = play(*prior).ignored.total()
    turn = play(*prior, got(raw))
    assert turn.verdict is None
    assert turn.ignored.total() == before + 1
    assert verdict_of(*prior, got(raw), closed(1011)) == ("interrupted", "internal_error")


def test_an_update_is_handed_on_and_its_text_is_kept() -> None:
    turn = play()
    assert turn.receive(frame(event="streaming_update", data={"text": "a"})) == Update.saying("a")
    assert turn.receive(frame(event="streaming_update", data={"text": "ab"})) == Update.saying("ab")
    assert turn.text == "ab"
    assert turn.verdict is None


def test_what_is_ignored_is_counted_by_what_it_was() -> None:
    turn = play(*[got(frame(event=name)) for name in "aab"])
    assert turn.ignored == {"event 'a'": 2, "event 'b'": 1}


def test_a_flood_of_unknown_frames_is_counted_in_nine_words_at_most() -> None:
    turn = play(*[got(frame(event=name)) for name in "abcdefghijka"])
    assert turn.ignored == {
        "event 'a'": 2,
        **{f"event '{name}'": 1 for name in "bcdefgh"},
        "and others": 3,
    }


def test_another_tasks_update_is_not_handed_on() -> None:
    turn = play(got(DOCS_UPDATE))
    of_another = SDK_UPDATE.replace(b'"task_id": "t1"', b'"task_id": "t2"')
    assert turn.receive(of_another.replace(b"several", b"nothing")) is None
    assert turn.text == "I found several"
    assert turn.ignored == {"an update of another task": 1}


def test_a_final_carries_the_answer() -> None:
    turn = play(got(DOCS_UPDATE), got(FINAL))
    assert turn.final is not None
    assert turn.final.raw == FINAL
    assert turn.text == "I found several built-in microwaves."


def test_an_empty_final_completes_too() -> None:
    turn = play(got(DOCS_UPDATE), got(frame(id="m", text=None, sender={"type": "agent"})))
    assert turn.verdict is not None
    assert turn.verdict.reason == "completed"
    assert turn.text == ""


def test_a_failed_attempt_has_no_answer_but_keeps_its_text() -> None:
    turn = play(got(DOCS_UPDATE), closed(1011))
    assert turn.final is None
    assert turn.text == "I found several"


@pytest.mark.parametrize(
    ("code", "reason", "detail"),
    [(1011, "", "AUI closed with 1011"), (1011, "oops", "AUI closed with 1011: oops")],
)
def test_a_verdict_tells_how_the_server_closed(code: int, reason: str, detail: str) -> None:
    verdict = play(closed(code, reason)).verdict
    assert verdict is not None
    assert (verdict.detail, verdict.close_code, verdict.error) == (detail, 1011, None)


def test_without_words_the_verdict_has_none() -> None:
    lost, closing = Turn("t1"), Turn("t1")
    lost.ended(Source.CONNECTION_LOST)
    closing.closed_by_server(1012)
    assert lost.verdict == judge(Source.CONNECTION_LOST)
    assert closing.verdict == judge(Source.SERVER_CLOSE, 1012, detail="AUI closed with 1012")


def test_phases_follow_the_turn() -> None:
    turn = Turn("t1")
    phases = [turn.phase]
    turn.sending()
    phases.append(turn.phase)
    turn.receive(b'{"event":"other"}')
    phases.append(turn.phase)
    turn.receive(DOCS_UPDATE)
    phases.append(turn.phase)
    assert phases == ["connecting", "waiting", "waiting", "streaming"]


def test_a_message_may_have_been_sent_from_sending_on() -> None:
    turn = Turn("t1")
    assert not turn.maybe_sent
    turn.sending()
    assert turn.maybe_sent


@pytest.mark.parametrize("at", [None, 0.0, 1773066121.5])
def test_a_turn_knows_when_it_was_sent_if_aui_told_the_time(at: float | None) -> None:
    turn = Turn("t1")
    assert turn.sent_at is None
    turn.sending(at)
    turn.receive(DOCS_UPDATE)
    turn.closed_by_server(1011)
    assert (turn.maybe_sent, turn.sent_at) == (True, at)


def test_a_refused_upgrade_sent_nothing() -> None:
    turn = Turn("t1")
    turn.refused(judge(Source.STATUS, 401))
    assert (turn.maybe_sent, turn.sent_at, turn.phase) == (False, None, "connecting")


def test_the_final_of_the_turn_before_is_not_the_answer() -> None:
    turn = Turn("t1", previous="507f1f77bcf86cd799439011")
    turn.receive(FINAL)
    assert (turn.verdict, turn.final) == (None, None)
    assert turn.ignored == {"the final of the turn before": 1}
    turn.receive(FINAL.replace(b"507f1f77bcf86cd799439011", b"507f1f77bcf86cd799439012"))
    assert turn.final is not None


def test_a_turn_is_not_stale_unless_it_is_said_to_be() -> None:
    assert not Turn("t1").stale
