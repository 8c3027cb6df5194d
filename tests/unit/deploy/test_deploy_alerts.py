"""The alerts name what there is, each has its page in the operators' book, and each is tested."""

import re

import pytest

from tests.unit.deploy.rules import ALERTS, OPERATIONS, Rule, documented, rules

RULES = rules()
ALERT_NAMES = [rule.name for rule in RULES if rule.kind == "alert"]
TESTS = "".join(path.read_text() for path in sorted(ALERTS.parent.glob("*.test.yml")))
PARTS = ("What it means", "How to look", "What to do", "What not to do")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_names_what_there_is(rule: Rule) -> None:
    series, query = documented(), rule.query
    assert query.metrics
    for name, labels in query.metrics.items():
        assert name in series
        assert labels <= series[name]
    assert query.lists <= set().union(*(series[name] for name in query.metrics))


def test_what_is_recorded_is_used() -> None:
    used = {name for rule in RULES for name in rule.query.metrics}
    unused = {rule.name for rule in RULES if rule.kind == "record"} - used
    assert not unused


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_tells_a_person_what_to_do(name: str) -> None:
    alert = ALERTS.read_text().split(f"- alert: {name}\n")[1].split("- alert:")[0]
    assert re.search(r"severity: (page|ticket)\n", alert)
    assert f"runbook_url: docs/operations.md#{name.lower()}\n" in alert
    section = OPERATIONS.read_text().split(f"\n### {name}\n")[1].split("\n### ")[0]
    assert [part for part in PARTS if f"**{part}.**" not in section] == []


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_is_seen_to_fire_and_to_be_silent(name: str) -> None:
    asked = re.findall(rf"alertname: {name}\n( *exp_alerts:)?", TESTS)
    assert any(asked)
    assert not all(asked)


def test_no_page_is_left_of_an_alert_that_is_gone() -> None:
    told = re.findall(r"^### (Aui\w+)$", OPERATIONS.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(ALERT_NAMES)
