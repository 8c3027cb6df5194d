"""Makes the providers of spans and meters, with the exporters that are wanted, and what uses them.

None of them is global: what they make is handed to those who use it. None of them is shut down by
the interpreter's exit, which would wait for a collector that does not answer.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)

from worker.core.errors import ConfigurationError
from worker.telemetry.derived_ids import DerivedIds
from worker.telemetry.environment import Wanted
from worker.telemetry.meters import Meters
from worker.telemetry.metrics import Metrics
from worker.telemetry.span_tracing import SpanTracing
from worker.telemetry.telemetry import Exposition, Telemetry
from worker.telemetry.times import PrometheusTimes
from worker.telemetry.tracing import Parent, Tracing


def telemetry_of(
    wanted: Wanted,
    own: Mapping[str, str],
    networks: Sequence[str],
    parent: Parent,
    fields: Sequence[str],
) -> Telemetry:
    """Make all that is wanted.

    Args:
        wanted: the exporters.
        own: what the worker is called, unless the operator calls it otherwise.
        networks: whose counts are told from the beginning on.
        parent: what the span of a job's producer is to the job's.
        fields: headers that belong to a trace, to be handed on where it is not traced.

    Raises:
        ConfigurationError: an exporter is not installed.
    """
    resource, registry, ids = _resource(own), CollectorRegistry(), DerivedIds()
    metrics, tracing = Metrics(), Tracing(fields)
    closing: list[Callable[[], object]] = []
    meters = None
    if wanted.metrics:
        meters = _meter_provider(wanted.metrics, resource, registry)
        # Prometheus' own histograms cost a tenth; they are of no use to any other exporter.
        own_way = wanted.metrics == ("prometheus",)
        times = partial(PrometheusTimes, registry) if own_way else None
        metrics = Meters(meters, networks, times)
        closing.append(meters.shutdown)
    if wanted.traces:
        spans = _tracer_provider(wanted.traces, resource, ids, meters)
        tracing = SpanTracing(spans, parent, ids)
        closing.append(spans.shutdown)
    scraped = "prometheus" in wanted.metrics
    return Telemetry(tracing, metrics, _exposition(registry) if scraped else None, closing)


def _exposition(registry: CollectorRegistry) -> Exposition:
    def write() -> tuple[bytes, str]:
        return generate_latest(registry), CONTENT_TYPE_LATEST

    return write


def _resource(own: Mapping[str, str]) -> Resource:
    return Resource.create({**own, **OTELResourceDetector().detect().attributes})


def _meter_provider(
    names: Sequence[str], of: Resource, registry: CollectorRegistry
) -> MeterProvider:
    readers: list[MetricReader] = []
    for name in names:
        if name == "prometheus":
            ProcessCollector(registry=registry)
            readers.append(PrometheusMetricReader(registry=registry, scope_info_enabled=False))
        else:
            readers.append(PeriodicExportingMetricReader(_metric_exporter(name)))
    return MeterProvider(readers, of, shutdown_on_exit=False)


def _tracer_provider(
    names: Sequence[str], of: Resource, ids: DerivedIds, meters: MeterProvider | None
) -> TracerProvider:
    # The SDK counts what it drops, where OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED asks for it.
    provider = TracerProvider(
        resource=of, shutdown_on_exit=False, id_generator=ids, meter_provider=meters
    )
    for name in names:
        provider.add_span_processor(BatchSpanProcessor(_span_exporter(name), meter_provider=meters))
    return provider


def _metric_exporter(name: str) -> MetricExporter:
    if name == "console":
        return ConsoleMetricExporter(out=sys.stdout)
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise _missing("METRICS") from error
    return OTLPMetricExporter()


def _span_exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stdout)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise _missing("TRACES") from error
    return OTLPSpanExporter()


def _missing(signal: str) -> ConfigurationError:
    return ConfigurationError(
        f"OTEL_{signal}_EXPORTER: otlp needs an extra: pip install 'aui-worker[otlp]'"
    )
