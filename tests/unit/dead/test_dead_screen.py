"""Letters on the screen."""

import io
import json
from datetime import UTC, datetime, timedelta

from rich.console import Console, RenderableType

from tests.unit.dead.letters import letter
from worker.cli.dead_screen import groups_table, letters_table, lifetime, plan_table, progress, span
from worker.cli.dead_sheet import sheet
from worker.core.envelope import Envelope
from worker.core.job_properties import JobRules
from worker.core.republish import AttemptRecord
from worker.core.verdict import Source, judge
from worker.dead.again import again
from worker.dead.head import head_of, in_order
from worker.dead.overview import groups

NOW = datetime(2026, 1, 2, 5, tzinfo=UTC)
EVIL = "\x1b[2J\x07\u202e[red]evil[/red]"
SAID = [AttemptRecord("2026-01-02T03:04:05Z", 1, "streaming", "bad_request", EVIL)]


def drawn(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def evil() -> Envelope:
    """Return a letter all of whose words try to drive the terminal."""
    verdict = judge(Source.STATUS, 400, detail=EVIL)
    headers = {"mine": EVIL, EVIL: "mine"}
    body = b'{"task_id":"t-1","text":"\x1b[2J"}'  # no JSON: shown as it is
    return letter(EVIL, body, verdict=verdict, attempts=SAID, headers=headers, reply_to=EVIL)


def test_nothing_in_a_letter_drives_the_terminal() -> None:
    one = evil()
    (head,) = in_order([head_of(one)])
    shown = [
        groups_table(groups([head]), NOW),
        letters_table([head], NOW),
        plan_table([(head, again(one, JobRules()))]),
        sheet(head, one, NOW),
    ]
    for what in shown:
        text = drawn(what)
        assert "[red]evil[/red]" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_a_sheet_tells_everything() -> None:
    one = letter(attempts=SAID[:1], headers={"aui-channel": "sms", "aui-replays": 2})
    (head,) = in_order([head_of(one)])
    text = drawn(sheet(head, one, NOW))

    for told in ("a microwave", "half an ans", "streaming", "2 times before", "1 h ago", "13 d"):
        assert told in text
    assert "aui-worker dead edit job" in text


def test_a_body_that_is_not_text_is_shown_as_bytes() -> None:
    one = letter(body=b"\xff\xfe")

    assert r"b'\xff\xfe'" in drawn(sheet(head_of(one), one, NOW))


def test_the_end_of_the_oldest_is_told() -> None:
    heads = [head_of(letter()), head_of(letter(at="2025-12-20T05:00:00.000+00:00"))]

    assert lifetime(heads, NOW) == "2 letters; the oldest is deleted in 1 d"
    assert lifetime([], NOW) == "no letters"


def test_a_span_is_told_in_its_largest_unit() -> None:
    told = [span(timedelta(seconds=seconds)) for seconds in (-5, 0, 59, 60, 7200, 200_000)]

    assert told == ["0 s", "0 s", "59 s", "1 min", "2 h", "2 d"]


def test_no_bar_is_drawn_but_at_a_terminal() -> None:
    with progress("replaying", 1000) as told:
        told()


def test_the_error_of_a_letter_is_laid_out() -> None:
    one = letter()
    error = json.loads(str(one.properties.headers["aui-dead-error"]))

    assert f'"message": "{error["message"]}"' in drawn(sheet(head_of(one), one, NOW))
