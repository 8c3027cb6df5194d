"""The variables of OpenTelemetry's specification are obeyed, and none makes a provider global."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api

from tests.otlp_sink import otlp_sink
from tests.unit.telemetry.spans import SAMPLED, TRACE, UNSAMPLED, address, job
from worker.core.errors import ConfigurationError
from worker.core.verdict import COMPLETED
from worker.telemetry.metrics import Metrics
from worker.telemetry.setup import set_up_telemetry
from worker.telemetry.telemetry import Telemetry
from worker.telemetry.tracing import JobTrace, Tracing

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin without any variable, and give the logging of the libraries back as it was."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    library = logging.getLogger("opentelemetry")
    before = library.handlers[:], library.level, library.propagate
    yield
    library.handlers[:], library.propagate = before[0], before[2]
    library.setLevel(before[1])


def a_job(telemetry: Telemetry, traceparent: str = SAMPLED) -> JobTrace:
    """Do a job, with one attempt."""
    message = job({"traceparent": traceparent})
    with telemetry.tracing.job(message, address(message), "aui.jobs.p00") as trace:
        with trace.attempt(1) as attempt:
            attempt.ended(COMPLETED)
        trace.ended(COMPLETED, attempts=1)
    telemetry.metrics.job_ended("default", COMPLETED, 1.0)
    return trace


async def test_by_default_there_are_metrics_to_scrape_and_no_spans() -> None:
    telemetry = set_up_telemetry("w1", ["default"])
    assert a_job(telemetry).headers == {"traceparent": SAMPLED}
    assert type(telemetry.tracing) is Tracing
    assert telemetry.exposition is not None
    body, content_type = telemetry.exposition()
    assert content_type.startswith("text/plain; version=")
    lines = body.decode().splitlines()
    (info,) = (line for line in lines if line.startswith("target_info{"))
    assert 'service_name="aui-worker"' in info
    assert 'service_instance_id="w1"' in info
    assert 'service_version="' in info
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)
    ended = 'aui_jobs_ended_total{aui_network="default",aui_reason="completed",aui_verdict='
    assert f'{ended}"completed"}} 1.0' in lines
    assert not [line for line in lines if "otel_scope" in line or "_created" in line]
    await telemetry.shutdown()


async def test_what_is_disabled_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    telemetry = set_up_telemetry("w1")
    assert type(telemetry.tracing) is Tracing
    assert type(telemetry.metrics) is Metrics
    assert telemetry.exposition is None
    assert a_job(telemetry).headers == {"traceparent": SAMPLED}
    await telemetry.shutdown()


async def test_spans_and_metrics_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    with otlp_sink() as sink:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a-secret")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        telemetry = set_up_telemetry("w1", ["default"])
        assert telemetry.exposition is None
        a_job(telemetry)
        await telemetry.shutdown(within=20)
    assert {span.name for span in sink.spans} == {"process aui.jobs", "invoke_agent"}
    assert {span.trace_id.hex() for span in sink.spans} == {TRACE}
    (ended,) = (
        point.as_int
        for point in sink.metrics["aui.jobs.ended"].sum.data_points
        if {each.value.string_value for each in point.attributes} == {"default", "completed"}
    )
    assert ended == 1
    (measured,) = sink.metrics["messaging.process.duration"].histogram.data_points
    assert (measured.count, measured.sum) == (1, 1.0)
    assert measured.explicit_bounds[-1] == 600.0
    for resource in sink.resources:
        told = {one.key: one.value.string_value for one in resource.attributes}
        assert told["service.name"] == "shop"
        assert told["service.instance.id"] == "w1"
        assert told["deployment.environment.name"] == "test"
    assert {headers["api-key"] for headers in sink.headers} == {"a-secret"}
    assert all(b"secret" not in raw for raw in sink.raw)


async def test_prometheus_and_a_collector_are_told_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with otlp_sink() as sink:
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus,otlp")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        telemetry = set_up_telemetry("w1")
        a_job(telemetry)
        assert telemetry.exposition is not None
        text = telemetry.exposition()[0].decode()
        await telemetry.shutdown(within=20)
    assert 'messaging_process_duration_seconds_count{aui_network="default"' in text
    assert sink.metrics["messaging.process.duration"].histogram.data_points[0].count == 1


async def test_the_sampler_of_the_variables_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    telemetry = set_up_telemetry("w1")
    assert type(a_job(telemetry)) is JobTrace
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    another = set_up_telemetry("w1")
    assert type(a_job(another, UNSAMPLED)) is not JobTrace
    await telemetry.shutdown(within=20)
    await another.shutdown(within=20)


async def test_the_console_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    telemetry = set_up_telemetry("w1")
    a_job(telemetry)
    await telemetry.shutdown(within=20)
    assert '"name": "invoke_agent"' in out.getvalue()
    assert '"name": "aui.jobs.ended"' in out.getvalue()


async def test_no_provider_is_global(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trace_api.get_tracer_provider(), metrics_api.get_meter_provider()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    telemetry = set_up_telemetry("w1")
    assert (trace_api.get_tracer_provider(), metrics_api.get_meter_provider()) == before
    await telemetry.shutdown(within=20)


@pytest.mark.parametrize("signal", ["TRACES", "METRICS"])
def test_an_exporter_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "otlp")
    for name in ("trace_exporter", "metric_exporter"):
        monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.http.{name}", None)
    with pytest.raises(ConfigurationError, match=rf"OTEL_{signal}_EXPORTER: .*aui-worker\[otlp\]"):
        set_up_telemetry("w1")


def test_a_propagator_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "tracecontext,a-secret")
    monkeypatch.delitem(sys.modules, "opentelemetry.propagate")
    monkeypatch.delattr("opentelemetry.propagate")
    with pytest.raises(ConfigurationError, match=r"^OTEL_PROPAGATORS: ") as caught:
        set_up_telemetry("w1")
    assert "secret" not in str(caught.value)


def test_what_the_sdk_refuses_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "many")
    with pytest.raises(ConfigurationError, match="OTEL_SPAN_EVENT_COUNT_LIMIT"):
        set_up_telemetry("w1")


def test_the_libraries_are_imported_only_when_they_are_wanted() -> None:
    program = (
        "import sys, worker.telemetry.metrics, worker.telemetry.tracing, worker.telemetry.setup\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
