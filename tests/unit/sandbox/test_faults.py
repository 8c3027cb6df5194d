"""Standing orders are taken as often as ordered, and wrong ones change nothing."""

from typing import Any

import pytest

from worker.sandbox.faults import Fault, Faults


def test_an_order_without_times_stands_until_cleared() -> None:
    faults = Faults()
    faults.order({"upgrade": {"status": 429, "retry_after": 2}})
    assert [faults.take("upgrade") for _ in range(3)] == [Fault(429, 2)] * 3
    faults.clear()
    assert faults.take("upgrade") is None


def test_an_order_with_times_is_used_up() -> None:
    faults = Faults()
    faults.order({"rest": {"times": 2}})
    assert faults.as_json() == {"rest": {"status": 503, "retry_after": None, "times": 2}}
    assert [fault is not None for fault in (faults.take("rest") for _ in range(3))] == [
        True,
        True,
        False,
    ]
    assert faults.as_json() == {}


def test_kinds_do_not_mix_and_the_latest_of_a_kind_stands() -> None:
    faults = Faults()
    faults.order({"connect": {"delay": 1}})
    faults.order({"connect": {"delay": 2}})
    assert faults.take("upgrade") is None
    taken = faults.take("connect")
    assert taken is not None
    assert taken.delay == 2


def test_everything_has_a_default() -> None:
    faults = Faults()
    faults.order({"connect": {}, "upgrade": {}, "rest": {}, "answer": {}})
    assert faults.as_json() == {
        "connect": {"delay": 3.0, "times": None},
        "upgrade": {"status": 503, "retry_after": None, "times": None},
        "rest": {"status": 503, "retry_after": None, "times": None},
        "answer": {"code": 1011, "times": None},
    }


def test_a_fault_fails_with_its_status_and_retry_after() -> None:
    failure = Fault(429, 2).failure
    assert (failure.status, failure.retry_after) == (429, 2)


@pytest.mark.parametrize(
    ("orders", "complaint"),
    [
        (
            {"upgrde": {}},
            "unknown fault 'upgrde'; the faults are connect, upgrade, rest, answer, scenario",
        ),
        ({"rest": {"delay": 1}}, "'rest' has no 'delay'; it has status, retry_after, times"),
        ({"rest": 503}, "'rest' must be an object"),
        ({"rest": {"status": 200}}, "'rest.status' must be from 400 to 599"),
        ({"rest": {"status": "503"}}, "'rest.status' must be a whole number"),
        ({"rest": {"status": None}}, "'rest.status' must be a whole number"),
        ({"rest": {"times": 0}}, "'rest.times' must be from 1"),
        ({"rest": {"times": True}}, "'rest.times' must be a whole number"),
        ({"connect": {"delay": float("nan")}}, "'connect.delay' must be from 0"),
        ({"connect": {"delay": "1"}}, "'connect.delay' must be a number"),
        ({"answer": {"code": 999}}, "'answer.code' must be from 1000"),
        ({"answer": {"code": 1006}}, "'answer.code' must be a close code a frame can carry"),
        ({"answer": {"code": 2000}}, "'answer.code' must be a close code a frame can carry"),
        ({"answer": {"code": "1011"}}, "'answer.code' must be a whole number"),
        ({"answer": {"status": 500}}, "'answer' has no 'status'; it has code, times"),
        ({"scenario": "!nonsense"}, "'scenario': unknown scenario '!nonsense'"),
        ({"scenario": "!1011 before=3"}, "'scenario': '!1011' has no parameter 'before=3'"),
        ({"scenario": "!1011 | hello"}, "'scenario' must be a directive without a text"),
        ({"scenario": "hello"}, "'scenario' must be a directive, like"),
        ({"scenario": 1011}, "'scenario' must be a directive without a text"),
    ],
)
def test_a_wrong_order_is_named_and_changes_nothing(orders: dict[str, Any], complaint: str) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=complaint):
        faults.order({"upgrade": {"status": 401}, **orders})
    assert faults.as_json() == {}


def test_a_scenario_is_for_every_message_without_one_of_its_own() -> None:
    faults = Faults()
    faults.order({"scenario": " !1011 after=3 "})
    assert faults.as_json() == {"scenario": "!1011 after=3"}
    ordered = faults.directive("a|b")
    assert (ordered.scenario, ordered.after, ordered.text) == ("1011", 3, "a|b")
    assert faults.directive("!400 | hello").scenario == "400"
    faults.clear()
    assert faults.as_json() == {}
    assert faults.directive("a|b").scenario == ""
