"""The dashboard names what there is, and a person can read it."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.unit.deploy.promql import read
from tests.unit.deploy.rules import ROOT, dashboard, documented, panels, queries, rules

PANELS = panels()
FROM_RULES = {rule.name for rule in rules()}
SHOWN = [(where, query) for where, query in queries() if where not in FROM_RULES]


def title(panel: dict[str, Any]) -> str:
    return str(panel["title"])


@pytest.mark.parametrize(("where", "query"), SHOWN, ids=[where for where, _ in SHOWN])
def test_a_query_names_what_there_is(where: str, query: Any) -> None:
    series = documented()
    assert query.metrics
    for name, labels in query.metrics.items():
        assert name in series
        assert labels <= series[name]
    assert query.lists <= set().union(*(series[name] for name in query.metrics))


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert re.fullmatch(r"[^.]+(\.\w[^.]*)*\.", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    for each in (panel, *panel["targets"]):
        assert each["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_a_legend_names_labels_that_are_left(panel: dict[str, Any]) -> None:
    series = documented()
    for target in panel["targets"]:
        query = read(target["expr"])
        bare = [name for name in query.metrics if target["expr"].startswith(name)]
        left = query.lists.union(*(series[name] for name in bare))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left


def test_no_panel_covers_another() -> None:
    for one, two in combinations([panel["gridPos"] for panel in dashboard()["panels"]], 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


def test_every_query_is_promql(tmp_path: Path) -> None:
    shown = [target["expr"] for panel in PANELS for target in panel["targets"]]
    checked = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(shown)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": checked}]}))
    told = subprocess.run(
        [ROOT / "scripts/promtool", "check", "rules", file], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{len(shown)} rules found" in told.stdout
