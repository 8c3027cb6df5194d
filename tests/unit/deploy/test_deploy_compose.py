"""What docker-compose.yml observes with is what is deployed, at other addresses."""

import json
import subprocess
from pathlib import Path

from tests.unit.deploy.rules import ALERTS, DASHBOARD, ROOT

COMPOSE = ROOT / "docker-compose.yml"
OWN = ROOT / "deploy/compose"


def broker_job(file: Path) -> list[str]:
    """Return how the broker is scraped, as it is written."""
    job = file.read_text().split("  - job_name: rabbitmq\n")[1].split("\nalerting:")[0]
    return [line for line in job.strip().splitlines() if not line.strip().startswith("#")]


def test_prometheus_scrapes_the_broker_as_deployed() -> None:
    own, deployed = OWN / "prometheus.yml", ALERTS.with_name("prometheus.yml")
    assert broker_job(own) == broker_job(deployed)


def test_prometheus_takes_its_configuration_with_the_alerts() -> None:
    told = subprocess.run(
        [ROOT / "scripts/promtool", "check", "config", OWN / "prometheus.yml"],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "1 rule files found" in told.stdout


def test_grafana_shows_the_dashboard_on_a_source_it_has() -> None:
    """Its variable takes any Prometheus: that there is one, and the file in its place, is ours."""
    (variable,) = (
        each
        for each in json.loads(DASHBOARD.read_text())["templating"]["list"]
        if each["type"] == "datasource"
    )
    assert f"type: {variable['query']}\n" in (OWN / "grafana/datasources.yml").read_text()
    mounted = "/etc/aui/dashboard.json"
    assert f"./{DASHBOARD.relative_to(ROOT)}:{mounted}:ro\n" in COMPOSE.read_text()
    assert f"path: {mounted}\n" in (OWN / "grafana/dashboards.yml").read_text()
