"""A directive is read exactly, or refused with a message that teaches it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.directive import AT_THE_END, SCENARIOS, BadDirective, Directive, read_directive


@pytest.mark.parametrize("text", ["a microwave", "", "! wow", "!!!", "so what !1011", "a | b"])
def test_ordinary_words_order_nothing(text: str) -> None:
    assert read_directive(text) == Directive("", text)


@pytest.mark.parametrize(
    ("text", "directive"),
    [
        (
            "!1011 after=3 times=2 | a microwave",
            Directive("1011", "a microwave", after=3, times=2, answered=False),
        ),
        ("!1008 after=0", Directive("1008", "", answered=False)),
        ("!1008 status=429", Directive("1008", "", status=429, answered=False)),
        ("!400", Directive("400", "", answered=False)),
        ("!error status=503", Directive("error", "", status=503, answered=False)),
        (
            "!error retry_after=2",
            Directive("error", "", status=503, retry_after=2.0, answered=False),
        ),
        ("!cut after=3", Directive("cut", "", after=3)),
        ("!cut lag=3", Directive("cut", "", after=3, lag=3.0)),
        ("!cut answered=no", Directive("cut", "", after=3, answered=False)),
        ("!close code=1000 after=3", Directive("close", "", after=3, code=1000)),
        ("!close code=4000", Directive("close", "", after=3, code=4000)),
        ("!silence", Directive("silence", "", answered=False)),
        ("!stall seconds=5", Directive("stall", "", after=1, seconds=5.0)),
        ("!reset", Directive("reset", "", after=1)),
        ("!garbage", Directive("garbage", "", after=1, answered=False)),
        ("!unknown", Directive("unknown", "", after=AT_THE_END)),
        ("!huge bytes=2000000", Directive("huge", "", bytes=2_000_000)),
        ("!rewrite", Directive("rewrite", "", after=2)),
        ("!final-only", Directive("final-only", "")),
        (
            "!load updates=50 interval=0.05 chunk=20",
            Directive("load", "", updates=50, interval=0.05, chunk=20),
        ),
        ("!lag seconds=3", Directive("lag", "", seconds=3.0)),
        ("  !400|a | b ", Directive("400", "a | b", answered=False)),
    ],
)
def test_directives_mean_what_they_say(text: str, directive: Directive) -> None:
    assert read_directive(text) == directive


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_works_without_parameters_and_knows_the_common_ones(scenario: str) -> None:
    assert read_directive(f"!{scenario}").scenario == scenario
    given_all = read_directive(f"!{scenario} times=2 lag=1.5 answered=yes | x")
    assert (given_all.times, given_all.lag, given_all.answered) == (2, 1.5, True)


def test_a_lag_is_the_scenarios_or_the_parameters() -> None:
    assert read_directive("!lag seconds=3").history_lag == 3
    assert read_directive("!cut lag=2").history_lag == 2
    assert read_directive("!stall seconds=3").history_lag == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("!nonsense", "unknown scenario '!nonsense'; the scenarios are !1011, !1008, !400"),
        ("!important | question", "unknown scenario '!important'"),
        ("!1011 afer=3", "'!1011' has no parameter 'afer=3'; it has times=, lag="),
        ("!cut 3", "'!cut' has no parameter '3'"),
        ("!cut after", "'!cut after': after must be a whole number"),
        ("!cut after=-1", "after must be a whole number from 0"),
        ("!cut after=1.5", "after must be a whole number"),
        ("!cut after=٣", "after must be a whole number"),
        ("!cut after=" + "9" * 5000, "after must be a whole number"),
        ("!1011 times=0", "times must be a whole number from 1"),
        ("!stall seconds=soon", "seconds must be seconds from 0 to 86400"),
        ("!stall seconds=nan", "seconds must be seconds"),
        ("!stall seconds=inf", "seconds must be seconds"),
        ("!error status=200", "status must be a whole number from 400 to 599"),
        ("!close code=1006", "code must be a close code"),
        ("!close code=1015", "code must be a close code"),
        ("!close code=5000", "code must be a close code"),
        ("!close code=12", "code must be a close code"),
        ("!huge bytes=99999999999", "bytes must be a whole number"),
        ("!cut answered=maybe", "answered must be yes or no"),
    ],
)
def test_a_directive_nobody_can_follow_is_named(text: str, complaint: str) -> None:
    with pytest.raises(BadDirective) as refused:
        read_directive(text)
    assert complaint in str(refused.value)


@given(st.text() | st.text(alphabet="!1084 |=abcut").map(lambda text: f"!{text}"))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(BadDirective):
        read_directive(text)
