"""The variables of OpenTelemetry may stand in ``.env``, like all others."""

import os
from pathlib import Path

import pytest

from worker.settings.otel import adopt_otel_variables


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory and an environment that are given back as they were."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_only_the_file_sets_is_set(elsewhere: Path) -> None:
    os.environ |= {"OTEL_SERVICE_NAME": "mine", "OTEL_TRACES_EXPORTER": ""}
    os.environ.pop("OTEL_EXPORTER_OTLP_HEADERS", None)
    os.environ.pop("OTEL_TRACES_SAMPLER", None)
    (elsewhere / ".env").write_text(
        "OTEL_SERVICE_NAME=theirs\n"
        "OTEL_TRACES_EXPORTER=otlp\n"
        'export OTEL_EXPORTER_OTLP_HEADERS="a=b,c=d"\n'
        "OTEL_TRACES_SAMPLER=\n"
        "MY_OTEL_THING=1\n"
    )
    adopt_otel_variables()
    assert os.environ["OTEL_SERVICE_NAME"] == "mine"
    assert os.environ["OTEL_TRACES_EXPORTER"] == "otlp"
    assert os.environ["OTEL_EXPORTER_OTLP_HEADERS"] == "a=b,c=d"
    assert "OTEL_TRACES_SAMPLER" not in os.environ
    assert "MY_OTEL_THING" not in os.environ


def test_no_file_is_needed() -> None:
    before = dict(os.environ)
    adopt_otel_variables()
    assert dict(os.environ) == before
