"""Histograms of seconds, of OpenTelemetry and of Prometheus; both tell a scraper the same."""

from collections.abc import Callable, Mapping
from typing import Protocol

from opentelemetry.metrics import Meter
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

from worker.telemetry.catalogue import Metric

Values = tuple[str, ...]
"""What a metric is split by, in the order of the catalogue; empty where not set."""


class Times(Protocol):
    """One histogram."""

    def record(self, seconds: float, of: Values) -> None:
        """Take one measurement."""


class MeteredTimes:
    """A histogram of OpenTelemetry, for whatever exporter; one measurement costs 15 us.

    Args:
        meter: makes the instrument.
        metric: which one.
        fixed: the values of its first attributes, where they are always the same.
    """

    def __init__(self, meter: Meter, metric: Metric, fixed: Values) -> None:
        self._metric = metric
        self._fixed = fixed
        self._attributes: dict[Values, Mapping[str, str]] = {}
        self._record = meter.create_histogram(
            metric.name,
            metric.unit,
            metric.says,
            explicit_bucket_boundaries_advisory=metric.buckets,
        ).record

    def record(self, seconds: float, of: Values) -> None:
        """Take one measurement."""
        attributes = self._attributes.get(of)
        if attributes is None:
            attributes = self._attributes[of] = self._metric.attributes(self._fixed + of)
        self._record(seconds, attributes)


class PrometheusTimes:
    """A histogram of Prometheus' client; one measurement costs 2 us.

    Args:
        registry: where it is told from.
        metric: which one.
        fixed: the values of its first labels, where they are always the same.
    """

    def __init__(self, registry: CollectorRegistry, metric: Metric, fixed: Values) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._fixed = fixed
        self._series: dict[Values, Callable[[float], None]] = {}
        self._histogram = Histogram(
            metric.prometheus,
            metric.says,
            [name.replace(".", "_") for name in metric.split_by],
            registry=registry,
            buckets=metric.buckets,
        )

    def record(self, seconds: float, of: Values) -> None:
        """Take one measurement."""
        observe = self._series.get(of)
        if observe is None:
            values = self._fixed + of
            series = self._histogram.labels(*values) if values else self._histogram
            observe = self._series[of] = series.observe
        observe(seconds)
