"""What is remembered of a message that may have been sent, from attempt to attempt."""

from collections.abc import Callable

import pytest

from tests.unit.core.builders import DOCS_UPDATE, FINAL
from worker.core.asked import Asked
from worker.core.history import TOLD, UNTOLD, Patience
from worker.core.turn import Turn
from worker.core.verdict import Source, judge


def turn(sent_at: float | None = None, code: int | None = 1011) -> Turn:
    """An attempt that was sent, and that AUI ended with a code; the cable did if that is None."""
    made = Turn("t1")
    made.sending(sent_at)
    if code is None:
        made.ended(Source.CONNECTION_LOST)
    else:
        made.closed_by_server(code)
    return made


def refused() -> Turn:
    """An attempt that did not come as far as that."""
    made = Turn("t1")
    made.refused(judge(Source.STATUS, 503))
    return made


def running() -> Turn:
    """An attempt that has not ended."""
    made = Turn("t1")
    made.sending(500.0)
    made.receive(DOCS_UPDATE)
    return made


def test_of_a_message_that_may_have_been_sent_before_little_is_known() -> None:
    assert Asked(maybe=True, since=7.0) == Asked(True, 7.0, UNTOLD, None, frozenset())


@pytest.mark.parametrize("maybe", [True, False])
@pytest.mark.parametrize("made", [refused, running])
def test_an_attempt_that_was_not_sent_or_has_not_ended_changes_nothing(
    made: Callable[[], Turn], maybe: bool
) -> None:
    asked = Asked(maybe, since=7.0, patience=TOLD, sent=3.0)
    asked.note(made(), now=9.0)
    assert asked == Asked(maybe, since=7.0, patience=TOLD, sent=3.0)


@pytest.mark.parametrize(
    ("code", "patience"), [(1011, TOLD), (1013, TOLD), (1006, UNTOLD), (None, UNTOLD)]
)
def test_after_an_attempt_it_may_have_been_sent(code: int | None, patience: Patience) -> None:
    asked = Asked(maybe=False, since=7.0)
    asked.note(turn(500.0, code), now=9.0)
    assert asked == Asked(maybe=True, since=9.0, patience=patience, sent=500.0)


def test_an_answer_is_an_end_too() -> None:
    asked, made = Asked(maybe=False, since=7.0), running()
    made.receive(FINAL)
    asked.note(made, now=9.0)
    assert asked == Asked(maybe=True, since=9.0, patience=UNTOLD, sent=500.0)


def test_it_was_first_sent_with_the_first_attempt_and_last_with_the_last() -> None:
    asked = Asked(maybe=False, since=7.0)
    asked.note(turn(500.0, None), now=9.0)
    asked.note(turn(600.0, 1011), now=10.0)
    assert (asked.sent, asked.since, asked.patience) == (500.0, 10.0, TOLD)
    asked.note(turn(700.0, None), now=11.0)
    assert (asked.sent, asked.since, asked.patience) == (500.0, 11.0, UNTOLD)


@pytest.mark.parametrize("maybe", [True, False])
def test_when_it_was_first_sent_is_not_known_if_somebody_may_have_before_or_aui_did_not_say(
    maybe: bool,
) -> None:
    asked = Asked(maybe, since=7.0)
    if not maybe:
        asked.note(turn(None), now=8.0)
    asked.note(turn(500.0), now=9.0)
    assert (asked.maybe, asked.sent, asked.since) == (True, None, 9.0)


def test_an_attempt_that_was_not_sent_leaves_the_next_the_first() -> None:
    asked = Asked(maybe=False, since=7.0)
    asked.note(refused(), now=8.0)
    asked.note(turn(500.0), now=9.0)
    assert (asked.sent, asked.since) == (500.0, 9.0)


def test_what_was_taken_for_it_stays_and_is_its_own() -> None:
    one, other = Asked(maybe=True, since=0.0), Asked(maybe=True, since=0.0)
    one.ours |= {"u1"}
    one.note(turn(500.0), now=9.0)
    assert (one.ours, other.ours) == (frozenset({"u1"}), frozenset())
