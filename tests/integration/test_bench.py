"""The benchmark in its smallest form: it measures something, and every reply is sound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import METRICS

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(180)
def test_the_quick_benchmark_checks_out_and_fills_its_table(tmp_path: Path) -> None:
    """What it measures is no matter here: it depends on the machine."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--peers", "ours,naive"]
    done = subprocess.run(
        [*command, "--report", str(report)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for metric in METRICS:
        assert f"\n| {metric.name} | " in done.stdout
    figures = json.loads(report.read_text())["figures"]
    for metric in METRICS:
        assert sorted(figures[metric.name]) == ["naive", "ours"]
    updates = next(line for line in done.stdout.splitlines() if "updates checked" in line)
    assert updates == "| updates checked | 2,100 | 2,100 |"
