"""What a task's history says about a message that may have been sent, case by case.

A history is written oldest first: ``u:yes@10`` is the user who says "yes" at 10 s, ``a:A1`` an
answer that does not tell its time. The user's messages are called u1, u2 and so on, an answer by
its text; ``u?:yes`` has no id. Our text is "yes" throughout.

What was seen is written as ``absent``; ``asked u1``, where no answer is there yet; or
``A2 to u1 u2``: the answer, and all the messages that are taken for ours. ``perhaps`` marks what
is ambiguous.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from worker.core.history import (
    PUBLISHED_SLACK,
    SENT_SLACK,
    TOLD,
    UNTOLD,
    Anchor,
    Patience,
    Previous,
    Seen,
    look,
    patience_after,
    same_text,
)
from worker.core.said import Said, read_history
from worker.core.verdict import Source, Verdict, judge

_LINE = re.compile(r"(u|a)(\??):([^@]*)(?:@(.+))?")


def said(history: str) -> list[Said]:
    """Read a history as it is written here."""
    numbers = count(1)
    return [_one(line, numbers) for line in history.split()]


def _one(line: str, numbers: "count[int]") -> Said:
    written = _LINE.fullmatch(line)
    assert written is not None, line
    who, nameless, text, at = written.groups()
    name = text if who == "a" else "" if nameless else f"u{next(numbers)}"
    return Said(text, who == "u", "" if nameless else name, float(at) if at else None)


def told(seen: Seen) -> str:
    """Write what was seen as it is written here."""
    if not seen.asked:
        assert seen == Seen()
        return "absent"
    what = "asked" if seen.answer is None else f"{seen.answer.id} to"
    return " ".join(["perhaps"] * seen.ambiguous + [what, *sorted(seen.ours)])


def final(written: str) -> Previous:
    """Read a previous final: its id, and perhaps its time."""
    name, _, at = written.partition("@")
    return Previous(name, float(at) if at else None)


@dataclass(frozen=True)
class Case:
    """A line of the specification.

    Attributes:
        of: what it is a case of.
        history: what was said.
        seen: what is to be seen.
        previous: the task's previous final, as in a history without its ``a:``.
        sent: when our message was first sent.
        published: the job's timestamp.
        copy: another copy of the job may have been sent.
        claimed: messages of earlier jobs.
        twin: a later job with the same text may have been sent.
    """

    of: str
    history: str
    seen: str
    previous: str = ""
    sent: float | None = None
    published: float | None = None
    copy: bool = False
    claimed: str = ""
    twin: bool = False

    @property
    def anchor(self) -> Anchor:
        """What our message is newer than."""
        previous = final(self.previous) if self.previous else None
        return Anchor(previous, self.sent, self.published, self.copy)


def see(case: Case) -> str:
    """Look into the history of a case."""
    history, claimed = said(case.history), case.claimed.split()
    return told(look(history, "yes", case.anchor, claimed, twin_behind=case.twin))


def cases(*rows: Case) -> pytest.MarkDecorator:
    """Make a test of each row."""
    return pytest.mark.parametrize("case", rows, ids=lambda case: case.of)


WHAT_IS_SAID = (
    Case("nothing", "", "absent"),
    Case("the agent's welcome", "a:A0@1", "absent"),
    Case("another text", "u:no@10 a:A1@12", "absent"),
    Case("a text that begins like it", "u:yes!@10 a:A1@12", "absent"),
    Case("its capitals", "u:Yes@10 a:A1@12", "absent"),
    Case("our text out of the agent's mouth", "a:yes@10 a:A1@12", "absent"),
    Case("unanswered", "u:yes@10", "asked u1"),
    Case("an answer before it", "a:A0@1 u:yes@10", "asked u1"),
    Case("answered", "u:yes@10 a:A1@12", "A1 to u1"),
    Case("answered twice", "u:yes@10 a:A1@12 a:A2@13", "A1 to u1"),
    Case("after others", "u:no@1 a:A1@2 u:yes@10 a:A2@12", "A2 to u2"),
    Case("after one without an answer", "u:no@9 u:yes@10 a:A1@12", "A1 to u2"),
    Case("an answer without an id", "u:yes@10 a?:A1@12", " to u1"),
    Case("no id of its own", "u?:yes@10 a:A1@12", "A1 to"),
)


@cases(*WHAT_IS_SAID)
@pytest.mark.parametrize(
    "anchored",
    [{"sent": 10.0}, {"published": 10.0}, {"published": 10.0, "copy": True}, {"previous": "A@9"}],
    ids=["sent", "published", "copy", "previous"],
)
def test_a_message_is_absent_or_asked_or_answered(case: Case, anchored: dict[str, Any]) -> None:
    assert see(replace(case, **anchored)) == case.seen


@cases(
    Case("answered", "u:yes a:A1", "absent", previous="A1"),
    Case("the second not sent", "u:yes a:A1 u:yes a:A2", "absent", previous="A2"),
    Case("the second asked", "u:yes a:A1 u:yes", "asked u2", previous="A1"),
    Case("the second answered", "u:yes a:A1 u:yes a:A2", "A2 to u2", previous="A1"),
    Case("after another text", "u:no a:A1 u:yes a:A2", "A2 to u2", previous="A1"),
    Case("before another text", "u:yes a:A1 u:yes a:A2 u:no", "A2 to u2", previous="A1"),
    Case("said before another text", "u:yes a:A1 u:no a:A2", "absent", previous="A1"),
    Case("of the same second", "u:yes@9 a:A1@10 u:yes@10", "asked u2", previous="A1@10"),
    Case("against its timestamp", "u:yes@10 a:A1@11", "absent", previous="A1@11", published=9.0),
    Case("against a copy", "u:yes@10 a:A1@11", "absent", previous="A1", copy=True),
    Case("in whole seconds", "u:hi@8 a:A1@10 u:yes@10", "asked u2", previous="A1@10.4"),
    Case("not shown, by its time", "u:yes@8.5 a:A1@9", "absent", previous="A0@9", sent=9.01),
    Case("not shown, timeless", "u:yes@10 a:A1@11", "absent", previous="A0", published=20.0),
    Case("within the slack", "u:yes@9 a:A1@9.5", "absent", previous="A1@9.5", sent=10.0),
    Case("sent since", "u:yes@9 a:A1@9.5 u:yes@10", "asked u2", previous="A1@9.5", sent=10.0),
)
def test_equal_texts_are_told_apart_by_the_previous_final(case: Case) -> None:
    assert see(case) == case.seen


@cases(
    Case("answered", "u:yes@10 a:A1@11", "absent", previous="A@11"),
    Case("answered, and not shown", "u:yes@10", "absent", previous="A@11"),
    Case("said just before it", "u:yes@10.9", "absent", previous="A@11"),
    Case("said at that time", "u:yes@11", "asked u1", previous="A@11"),
    Case("asked", "u:yes@10 a:A1@11 u:yes@12", "asked u2", previous="A@11"),
    Case("answered since", "u:yes@10 a:A1@11 u:yes@12 a:A2@13", "A2 to u2", previous="A@11"),
    Case("the producer is ahead", "u:yes@12", "asked u1", previous="A@11", published=100.0),
    Case("the producer is behind", "u:yes@10", "absent", previous="A@11", published=1.0),
    Case("nor a time", "u:no a:B u:yes a:C", "perhaps C to u2", previous="A"),
    Case("nor a time, last is another", "u:yes a:B u:no a:C", "absent", previous="A"),
)
def test_a_previous_final_that_is_not_shown_tells_by_its_time(case: Case) -> None:
    assert see(case) == case.seen


@cases(
    Case("at the slack", "u:yes@98", "asked u1", sent=100.0),
    Case("before the slack", "u:yes@97.9 a:A1@99", "absent", sent=100.0),
    Case("not sent", "u:yes@50 a:A1@51", "absent", sent=100.0),
    Case("asked", "u:yes@50 a:A1@51 u:yes@100", "asked u2", sent=100.0),
    Case("answered", "u:yes@50 a:A1@51 u:yes@100 a:A2@101", "A2 to u2", sent=100.0),
    Case("another since", "u:yes@100 a:A1@101 u:no@102 a:A2@103", "A1 to u1", sent=100.0),
    Case("another at once", "u:yes@100 u:no@101 a:A1@102", "asked u1", sent=100.0),
    Case("the producer is ahead", "u:yes@100", "asked u1", sent=100.0, published=900.0),
    Case("the producer is behind", "u:yes@50 a:A1@51", "absent", sent=100.0, published=1.0),
)
def test_equal_texts_are_told_apart_by_when_ours_was_first_sent(case: Case) -> None:
    assert see(case) == case.seen


@cases(
    Case("unanswered", "u:yes@10 u:yes@20", "asked u1 u2"),
    Case("the first answered", "u:yes@10 a:A1@19 u:yes@20", "A1 to u1 u2"),
    Case("the second answered", "u:yes@10 u:yes@20 a:A1@21", "A1 to u1 u2"),
    Case("both answered", "u:yes@10 a:A1@19 u:yes@20 a:A2@21", "A2 to u1 u2"),
    Case("both answered late", "u:yes@10 u:yes@20 a:A1@21 a:A2@22", "A1 to u1 u2"),
    Case("another between", "u:yes@10 u:no@15 u:yes@20 a:A1@21", "A1 to u1 u3"),
    Case("another after", "u:yes@10 a:A1@11 u:yes@20 u:no@21 a:A2@22", "A1 to u1 u2"),
    Case("thrice", "u:yes@10 u:yes@20 a:A1@21 u:yes@30", "A1 to u1 u2 u3"),
)
@pytest.mark.parametrize("anchored", [{"sent": 10.0}, {"previous": "A0"}], ids=["sent", "previous"])
def test_any_answer_to_a_message_we_sent_more_than_once_is_ours(
    case: Case, anchored: dict[str, Any]
) -> None:
    before = Case("", f"u?:yes@1 a:A0@2 {case.history}", case.seen)
    assert see(replace(before, **anchored)) == case.seen


@cases(
    Case("at the slack", "u:yes@95", "asked u1", published=100.0),
    Case("before the slack", "u:yes@94.9 a:A1@99", "absent", published=100.0),
    Case("not sent", "u:yes@50 a:A1@51", "absent", published=100.0),
    Case("asked", "u:yes@50 a:A1@51 u:yes@100", "asked u2", published=100.0),
    Case("answered", "u:yes@50 a:A1@51 u:yes@100 a:A2@101", "A2 to u2", published=100.0),
    Case("long in its queue", "u:no@101 a:A1@102 u:yes@9000", "asked u2", published=100.0),
    Case("of 1970", "u:yes@1", "asked u1", published=0.0),
)
def test_equal_texts_are_told_apart_by_the_jobs_timestamp(case: Case) -> None:
    assert see(case) == case.seen


@cases(
    Case("another since", "u:yes@101 a:A1@102 u:no@103 a:A2@104", "absent"),
    Case("another at once", "u:yes@101 u:no@102 a:A1@103", "absent"),
    Case("both", "u:yes@101 a:A1@102 u:yes@103 a:A2@104", "A2 to u1 u2"),
    Case("the last unanswered", "u:yes@101 a:A1@102 u:yes@103", "asked u1 u2"),
    Case("all since another", "u:yes@101 a:A1@102 u:no@103 u:yes@104 a:A2@105", "A2 to u3"),
)
def test_a_job_is_the_last_thing_the_user_said(case: Case) -> None:
    """Nothing later was sent; of two equal texts the earlier may be an earlier job's."""
    assert see(replace(case, published=100.0)) == case.seen


@cases(
    Case("the last", "u:no@90 a:A0@91 u:yes@101 a:A1@102", "A1 to u2"),
    Case("another since", "u:yes@101 a:A1@102 u:no@103 a:A2@104", "A1 to u1"),
    Case("another at once", "u:yes@101 u:no@102 a:A1@103", "asked u1"),
    Case("at the slack", "u:yes@95 a:A1@96 u:no@103", "A1 to u1"),
    Case("before the slack", "u:yes@94.9 a:A1@96 u:no@103", "absent"),
)
def test_a_copy_is_anywhere_after_its_timestamp(case: Case) -> None:
    """Its other copy may have been answered, and later jobs after it."""
    assert see(replace(case, published=100.0, copy=True)) == case.seen


@cases(
    Case("asked", "u:yes", "perhaps asked u1"),
    Case("answered", "u:yes a:A1", "perhaps A1 to u1"),
    Case("answered long ago", "u:yes@1 a:A1@2", "perhaps A1 to u1"),
    Case("another before", "u:no a:A1 u:yes a:A2", "perhaps A2 to u2"),
    Case("another since", "u:yes a:A1 u:no a:A2", "absent"),
    Case("another at once", "u:yes u:no a:A1", "absent"),
    Case("equal ones", "u:yes a:A1 u:yes a:A2", "perhaps A2 to u1 u2"),
    Case("the last of equal ones", "u:yes a:A1 u:yes", "perhaps asked u1 u2"),
    Case("nothing", "", "absent"),
    Case("the agent's welcome", "a:A0", "absent"),
    Case("a copy", "u:yes a:A1", "perhaps A1 to u1", copy=True),
    Case("a copy, and another since", "u:yes a:A1 u:no a:A2", "absent", copy=True),
)
def test_without_any_anchor_the_last_thing_the_user_said_is_perhaps_ours(case: Case) -> None:
    assert see(case) == case.seen


@cases(
    Case("the only one", "u:yes@10 a:A1@11", "absent", claimed="u1"),
    Case("the first", "u:yes@10 u:yes@11", "asked u2", claimed="u1"),
    Case("the first, unanswered", "u:yes@10 u:yes@11 a:A1@12", "A1 to u2", claimed="u1"),
    Case("the first, answered", "u:yes@10 a:A1@11 u:yes@12", "asked u2", claimed="u1"),
    Case("some", "u:yes@10 u:yes@11 u:yes@12 a:A1@13", "A1 to u3", claimed="u2 u1"),
    Case("what is not there", "u:yes@10 a:A1@11", "A1 to u1", claimed="u7"),
    Case("what has no id", "u?:yes@10 a:A1@11", "A1 to", claimed="u1"),
)
@pytest.mark.parametrize(
    "anchored",
    [{"sent": 10.0}, {"published": 10.0}, {"published": 10.0, "copy": True}, {"previous": "A@9"}],
    ids=["sent", "published", "copy", "previous"],
)
def test_what_earlier_jobs_claim_is_not_ours(case: Case, anchored: dict[str, Any]) -> None:
    assert see(replace(case, **anchored)) == case.seen


def test_what_earlier_jobs_claim_is_not_ours_without_any_anchor_either() -> None:
    assert see(Case("", "u:yes a:A1", "", claimed="u1")) == "absent"
    assert see(Case("", "u:yes a:A1 u:yes", "", claimed="u1")) == "perhaps asked u2"


@cases(
    Case("neither answered", "u:yes@10", "asked u1"),
    Case("both asked", "u:yes@10 u:yes@11", "asked u1"),
    Case("ours answered", "u:yes@10 a:A1@11", "A1 to u1"),
    Case("the twin asked", "u:yes@10 a:A1@11 u:yes@12", "A1 to u1"),
    Case("the twin answered", "u:yes@10 a:A1@11 u:yes@12 a:A2@13", "A1 to u1"),
    Case("ours sent twice", "u:yes@10 u:yes@11 a:A1@12 u:yes@13 a:A2@14", "A1 to u1"),
    Case("ours sent again after another", "u:yes@10 u:no@11 u:yes@12 a:A1@13", "A1 to u3"),
    Case("nothing", "", "absent"),
    Case("before us", "u:yes@1 a:A1@2", "absent"),
    Case("before us, and ours", "u:yes@1 a:A1@2 u:yes@10 a:A2@11 u:yes@12", "A2 to u2"),
)
@pytest.mark.parametrize(
    "anchored",
    [{"sent": 10.0}, {"published": 10.0}, {"previous": "A@9"}],
    ids=["sent", "published", "previous"],
)
def test_with_a_twin_behind_it_the_first_exchange_is_ours(
    case: Case, anchored: dict[str, Any]
) -> None:
    """Both were sent, or only ours: what comes first is ours in either case."""
    assert see(replace(case, twin=True, **anchored)) == case.seen


def test_twins_share_a_history_out_in_order() -> None:
    history = "u:yes@10 a:A1@11 u:yes@12 a:A2@13"
    first = Case("", history, "", published=9.0, twin=True)
    second = Case("", history, "", published=9.0, previous="A1@11")
    assert (see(first), see(second)) == ("A1 to u1", "A2 to u2")


@cases(
    Case("asked", "u:yes", "asked u1"),
    Case("answered", "u:yes a:A1", "A1 to u1"),
    Case("another since", "u:yes a:A1 u:no a:A2", "absent"),
    Case("some tell it", "u:yes@10 a:A1 u:yes a:A2", "A2 to u2"),
    Case("an answer does not", "u:yes@100 a:A1", "A1 to u1"),
)
def test_a_message_that_does_not_tell_its_time_is_not_too_old(case: Case) -> None:
    assert see(replace(case, published=100.0)) == case.seen


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("yes", "yes", True),
        (" yes", "yes \n", True),
        ("one two", "one  two", True),
        ("one two", "one\t\r\ntwo", True),
        ("one two", "one\u00a0two", True),
        ("one two", "onetwo", False),
        ("yes", "Yes", False),
        ("yes", "", False),
        ("", " ", True),
        ("é", "e\u0301", False),
    ],
)
def test_white_space_does_not_make_another_text(one: str, other: str, same: bool) -> None:
    assert same_text(one, other) is same
    assert same_text(other, one) is same


@pytest.mark.parametrize("written", ["one two", " one two ", "one\n\ntwo"])
def test_our_text_is_found_however_it_is_spaced(written: str) -> None:
    history = [Said(written, by_user=True, id="u1"), Said("A1", by_user=False, id="A1")]
    again = Said("one  two", by_user=True, id="u2")
    late = [history[0], again, history[1]]
    for place in Anchor(sent=1.0), Anchor(published=1.0), Anchor():
        assert look(history, "\tone two", place).answer == history[1]
        assert look(late, "\tone two", place).ours == {"u1", "u2"}


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (Anchor(), None),
        (Anchor(Previous("A1")), None),
        (Anchor(Previous("A1", 50.0)), 50.0),
        (Anchor(Previous("A1", 50.0), published=100.0), 50.0),
        (Anchor(sent=100.0), 98.0),
        (Anchor(sent=100.0, published=7.0), 98.0),
        (Anchor(Previous("A1", 50.0), sent=100.0, published=7.0), 98.0),
        (Anchor(Previous("A1"), sent=100.0), 98.0),
        (Anchor(published=100.0), 95.0),
        (Anchor(published=100.0, copy=True), 95.0),
        (Anchor(published=0.0), -5.0),
        (Anchor(sent=0.0, published=9.0), -2.0),
    ],
)
def test_the_first_known_of_three_tells_how_old_ours_can_be(
    anchor: Anchor, expected: float | None
) -> None:
    assert anchor.not_before == expected


def test_clocks_may_differ_by_seconds_not_more() -> None:
    assert (SENT_SLACK, PUBLISHED_SLACK) == (2.0, 5.0)


@pytest.mark.parametrize("turn", [1, -1], ids=["oldest first", "newest first"])
@pytest.mark.parametrize(
    ("history", "case"),
    [
        ("u:yes@10 a:A1@11 u:yes@12 a:A2@13", Case("", "", "A2 to u2", previous="A1")),
        ("u:yes@10 a:A1@11 u:no@12 a:A2@13", Case("", "", "absent", published=9.0)),
        ("u:no@10 a:A1@11 u:yes@12 a:A2@13", Case("", "", "perhaps A2 to u2")),
    ],
    ids=["previous", "published", "no anchor"],
)
def test_whichever_way_aui_sorts_a_history_it_says_the_same(
    history: str, case: Case, turn: int
) -> None:
    read = read_history(written(said(history)[::turn]))
    assert read is not None
    assert told(look(read, "yes", case.anchor)) == case.seen


def written(history: Sequence[Said]) -> bytes:
    """Write a history as AUI does."""
    return json.dumps(
        [
            {
                "id": one.id,
                "created_at": datetime.fromtimestamp(one.at or 0.0, UTC).isoformat(),
                "text": one.text,
                "sender": {"type": "user" if one.by_user else "agent"},
            }
            for one in history
        ]
    ).encode()


@pytest.mark.parametrize(
    ("verdict", "patience"),
    [
        (judge(Source.STATUS, 500), TOLD),
        (judge(Source.STATUS, 503), TOLD),
        (judge(Source.STATUS, 429), TOLD),
        (judge(Source.STATUS, None), TOLD),
        (judge(Source.SERVER_CLOSE, 1011), TOLD),
        (judge(Source.SERVER_CLOSE, 1012), TOLD),
        (judge(Source.SERVER_CLOSE, 1013), TOLD),
        (judge(Source.SERVER_CLOSE, 1000), UNTOLD),
        (judge(Source.SERVER_CLOSE, 1001), UNTOLD),
        (judge(Source.SERVER_CLOSE, 1006), UNTOLD),
        (judge(Source.SERVER_CLOSE, 1010), UNTOLD),
        (judge(Source.SERVER_CLOSE, 1014), UNTOLD),
        (judge(Source.LOCAL_CLOSE, 1011), UNTOLD),
        (judge(Source.LOCAL_CLOSE, 1000), UNTOLD),
        (judge(Source.CONNECTION_LOST), UNTOLD),
        (judge(Source.CONNECTION_FAILED), UNTOLD),
        (judge(Source.FIRST_TEXT_TIMEOUT), UNTOLD),
        (judge(Source.IDLE_TIMEOUT), UNTOLD),
        (judge(Source.GARBAGE_FRAME), UNTOLD),
    ],
    ids=lambda value: f"{value.source} {value.code}" if isinstance(value, Verdict) else "",
)
def test_who_was_told_that_it_failed_looks_for_less_long(
    verdict: Verdict, patience: Patience
) -> None:
    assert patience_after(verdict) == patience


def test_an_answer_is_awaited_longer_than_a_message() -> None:
    assert Patience(answer=2.0, absence=2.0) == TOLD
    assert Patience(answer=30.0, absence=5.0) == UNTOLD


@pytest.mark.parametrize(
    ("history", "behind", "seen"),
    [
        ("u:yes@10 a:A1@11 u:no@12 a:A2@13", ["no"], "A1 to u1"),
        ("u:yes@10 a:A1@11 u:no@12", ["no"], "A1 to u1"),
        ("u:yes a:A1", ["no"], "A1 to u1"),
        ("u:yes@10 a:A1@11 u:no@12 a:A2@13 u:so@14 a:A3@15", ["no", "so"], "A1 to u1"),
        ("u:yes@10 a:A1@11 u:no@12 a:A2@13", ["no", "so"], "A1 to u1"),
        ("u:yes@10 a:A1@11 u:so@12 a:A2@13", ["no"], "absent"),
        ("u:yes@10 a:A1@11 u:no@12 a:A2@13", [], "absent"),
    ],
)
def test_what_the_jobs_behind_it_said_since_does_not_hide_it(
    history: str, behind: list[str], seen: str
) -> None:
    """An ack got lost after the next job was begun: all of them come again."""
    dated = Anchor(None, None, 1.0, False)
    assert seen in told(look(said(history), "yes", dated, behind=behind))


def test_undated_what_was_said_before_is_never_taken_for_ours_and_those_behind() -> None:
    """It would be the answer to another question; asked twice is better than not at all."""
    history = said("u:yes a:A1 u:no a:A2")
    for published in (None, 1.0):
        anchor = Anchor(None, None, published, False)
        assert "absent" in told(look(history, "yes", anchor, behind=["no"]))
