"""What is deployed for operators: the alert rules, the dashboard, and the series they may name."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.unit.deploy.promql import Query, read
from worker.telemetry.catalogue import CATALOGUE, Instrument, Metric

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
OPERATIONS = ROOT / "docs/operations.md"

TARGET = {"job", "instance"}
"""Labels that Prometheus itself adds to what it scrapes."""
QUEUE = {"vhost", "queue"}
BROKER: Mapping[str, set[str]] = {
    f"rabbitmq_detailed_queue_{name}": QUEUE
    for name in ("messages", "messages_ready", "messages_unacked", "consumers")
}
_RULE = re.compile(
    r"^      - (alert|record): (\S+)\n        expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)", re.MULTILINE
)


@dataclass(frozen=True)
class Rule:
    """One rule of the alerts file."""

    kind: str
    name: str
    expression: str

    @property
    def query(self) -> Query:
        """What it names."""
        return read(self.expression)


@cache
def rules() -> list[Rule]:
    """Return all rules, in their order."""
    text = ALERTS.read_text()
    found = [Rule(kind, name, block or line) for kind, name, block, line in _RULE.findall(text)]
    assert len(found) == len(re.findall(r"^ *- (?:alert|record):", text, re.MULTILINE))
    return found


@cache
def recorded() -> dict[str, set[str]]:
    """Return the labels of what the rules record, by its name."""
    return {
        rule.name: rule.query.lists | rule.query.made for rule in rules() if rule.kind == "record"
    }


@cache
def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterable[tuple[str, Query]]:
    """Return where each query stands, and the query."""
    for rule in rules():
        yield rule.name, rule.query
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], read(target["expr"])
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.findall(r"\w+", variable["definition"])[1:]
            yield variable["name"], Query({metric: {label}})


def series_of(metric: Metric) -> dict[str, set[str]]:
    """Return what Prometheus sees of a metric, with the labels."""
    name = metric.prometheus
    labels = TARGET | {attribute.replace(".", "_") for attribute in metric.split_by}
    if metric.instrument is not Instrument.HISTOGRAM:
        return {name: labels}
    return {f"{name}_bucket": {*labels, "le"}, f"{name}_sum": labels, f"{name}_count": labels}


def documented() -> dict[str, set[str]]:
    """Return all series there are to be, with their labels."""
    series = {"up": TARGET, "process_start_time_seconds": TARGET, **BROKER, **recorded()}
    for metric in CATALOGUE:
        series |= series_of(metric)
    return series
