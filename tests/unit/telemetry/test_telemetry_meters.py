"""What is counted and measured is what a reader sees, with the attributes of the catalogue."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    MetricReader,
)
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from worker.core.reply import ReplyKind
from worker.core.verdict import COMPLETED, POSTPONED, TABLE, Source, judge
from worker.telemetry.catalogue import CATALOGUE, Instrument
from worker.telemetry.meters import Meters
from worker.telemetry.metrics import Metrics, Readings
from worker.telemetry.times import PrometheusTimes

LOST = judge(Source.SERVER_CLOSE, 1011)
REFUSED = judge(Source.STATUS, 400)
JOBS = {
    "messaging.system": "rabbitmq",
    "messaging.operation.name": "process",
    "messaging.destination.name": "aui.jobs",
    "aui.network": "acme",
}
REPLIES = {
    "messaging.system": "rabbitmq",
    "messaging.operation.name": "publish",
    "messaging.destination.template": "aui.replies",
}
ASKING = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.provider.name": "aui",
    "aui.network": "acme",
}
READINGS = Readings(
    in_flight=lambda: 3,
    waiting=lambda: 4,
    pending=lambda: 5,
    ready=lambda: True,
    brown=lambda: {"acme": True, "default": False},
    conversations=lambda: {"acme": 6},
    sockets_kept=lambda: {"acme": 7},
    links_up=lambda: {"consuming": True, "publishing": False},
    links_blocked=lambda: {"publishing": True},
    partitions=lambda: {("acme", "aui.jobs.acme.p00"): True},
)


class Seen:
    """Meters, and what a reader sees of them."""

    def __init__(self, *networks: str) -> None:
        self._reader = InMemoryMetricReader()
        self.metrics = Meters(_provider(self._reader), networks)

    @property
    def all(self) -> dict[str, Metric]:
        """Every metric that has values, by name."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: metric
            for of_resource in data.resource_metrics
            for scope in of_resource.scope_metrics
            for metric in scope.metrics
        }

    def values(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The series of a metric; of a histogram, how many measurements, and their sum."""
        return [
            (
                dict(point.attributes or {}),
                (point.count, point.sum)
                if isinstance(point, HistogramDataPoint)
                else getattr(point, "value", None),
            )
            for point in self.all[name].data.data_points
        ]


def _provider(reader: MetricReader) -> MeterProvider:
    return MeterProvider([reader], shutdown_on_exit=False)


def everything(metrics: Metrics) -> None:
    """Let everything happen once."""
    metrics.observe(READINGS)
    metrics.job_begun("acme", 2.5)
    metrics.attempt_ended("acme", LOST, 1.5, 0.4, 0.02)
    metrics.retried("acme", "internal_error")
    metrics.averted("acme")
    metrics.recovered("acme")
    metrics.first_text("acme", 0.75)
    metrics.sent(ReplyKind.UPDATE)
    metrics.coalesced(2)
    metrics.confirmed(0.003)
    metrics.unclaimed("unrouted")
    metrics.dead_lettered("acme", "bad_request")
    metrics.browned_out("acme")
    metrics.job_ended("acme", REFUSED, 12.0)


def test_everything_that_happens_is_told_once() -> None:
    seen = Seen()
    everything(seen.metrics)
    network = {"aui.network": "acme"}
    expected: Mapping[str, list[tuple[dict[str, str], Any]]] = {
        "messaging.client.consumed.messages": [({**JOBS, "error.type": "bad_request"}, 1)],
        "messaging.process.duration": [({**JOBS, "error.type": "bad_request"}, (1, 12.0))],
        "messaging.client.operation.duration": [(REPLIES, (1, 0.003))],
        "gen_ai.client.operation.duration": [
            ({**ASKING, "error.type": "internal_error"}, (1, 1.5))
        ],
        "gen_ai.client.operation.time_to_first_chunk": [
            ({**ASKING, "error.type": "internal_error"}, (1, 0.4))
        ],
        "gen_ai.client.operation.time_per_output_chunk": [
            ({**ASKING, "error.type": "internal_error"}, (1, 0.02))
        ],
        "aui.job.queue_wait": [(network, (1, 2.5))],
        "aui.job.time_to_first_text": [(network, (1, 0.75))],
        "aui.jobs.ended": [
            ({**network, "aui.verdict": "rejected", "aui.reason": "bad_request"}, 1)
        ],
        "aui.jobs.dead_lettered": [({**network, "aui.reason": "bad_request"}, 1)],
        "aui.jobs.retries": [({**network, "aui.reason": "internal_error"}, 1)],
        "aui.jobs.in_flight": [({}, 3)],
        "aui.lanes.waiting": [({}, 4)],
        "aui.answers.recovered": [(network, 1)],
        "aui.asks.averted": [(network, 1)],
        "aui.brownouts": [(network, 1)],
        "aui.network.brown": [(network, 1), ({"aui.network": "default"}, 0)],
        "aui.updates.coalesced": [({}, 2)],
        "aui.publish.pending": [({}, 5)],
        "aui.link.up": [({"aui.link": "consuming"}, 1), ({"aui.link": "publishing"}, 0)],
        "aui.link.blocked": [({"aui.link": "publishing"}, 1)],
        "aui.partition.consumed": [({**network, "aui.queue": "aui.jobs.acme.p00"}, 1)],
        "aui.conversations.open": [(network, 6)],
        "aui.sockets.kept": [(network, 7)],
        "aui.ready": [({}, 1)],
    }
    for name, values in expected.items():
        assert seen.values(name) == values, name
    assert ({**REPLIES, "aui.reply.kind": "update"}, 1) in seen.values(
        "messaging.client.sent.messages"
    )
    assert ({"aui.reason": "unrouted"}, 1) in seen.values("aui.replies.unclaimed")


def test_what_is_told_is_what_the_catalogue_says() -> None:
    seen = Seen()
    everything(seen.metrics)
    told = seen.all
    assert set(told) == {metric.name for metric in CATALOGUE}
    for metric in CATALOGUE:
        assert (told[metric.name].unit, told[metric.name].description) == (metric.unit, metric.says)
        for point in told[metric.name].data.data_points:
            assert set(point.attributes or {}) <= set(metric.split_by), metric.name
            if isinstance(point, HistogramDataPoint):
                assert tuple(point.explicit_bounds) == metric.buckets


def test_an_answer_has_no_error_and_neither_has_a_job_that_goes_back() -> None:
    seen = Seen()
    for verdict in (COMPLETED, POSTPONED):
        seen.metrics.job_ended("acme", verdict, 1.0)
    assert seen.values("messaging.client.consumed.messages") == [(JOBS, 2)]
    assert seen.values("messaging.process.duration") == [(JOBS, (2, 2.0))]


def test_what_did_not_happen_is_not_measured() -> None:
    seen = Seen()
    seen.metrics.job_begun("acme", None)
    seen.metrics.attempt_ended("acme", LOST, 1.0)
    assert "gen_ai.client.operation.duration" in seen.all
    assert not {name for name in seen.all if "chunk" in name or "wait" in name}


def test_a_producer_whose_clock_is_ahead_waits_for_nothing() -> None:
    seen = Seen()
    seen.metrics.job_begun("acme", -3.0)
    assert seen.values("aui.job.queue_wait") == [({"aui.network": "acme"}, (1, 0.0))]


def test_counts_are_told_while_they_are_0() -> None:
    seen = Seen("acme", "default")
    reasons = {row.reason for row in TABLE}
    ended = {attributes["aui.reason"] for attributes, _ in seen.values("aui.jobs.ended")}
    assert ended == reasons
    dead = [attributes for attributes, _ in seen.values("aui.jobs.dead_lettered")]
    assert {"aui.network": "default", "aui.reason": "unauthorized"} in dead
    assert not [each for each in dead if each["aui.reason"] in ("completed", "network_out")]
    for name in ("aui.brownouts", "aui.asks.averted", "aui.answers.recovered"):
        assert seen.values(name) == [({"aui.network": "acme"}, 0), ({"aui.network": "default"}, 0)]
    assert len(seen.values("messaging.client.sent.messages")) == len(ReplyKind)
    assert all(count == 0 for _, count in seen.values("aui.replies.unclaimed"))


def test_a_reading_that_breaks_hides_no_other() -> None:
    def broken() -> int:
        raise RuntimeError("dictionary changed size during iteration")

    seen = Seen()
    parts = {name: getattr(READINGS, name) for name in Readings.__dataclass_fields__}
    seen.metrics.observe(Readings(**parts | {"in_flight": broken}))
    told = seen.all
    assert "aui.jobs.in_flight" not in told
    assert "aui.lanes.waiting" in told


def test_metrics_that_are_off_do_nothing() -> None:
    everything(Metrics())
    overridden = {name for name in vars(Meters) if not name.startswith("_")}
    assert overridden == {name for name in vars(Metrics) if not name.startswith("_")}


def exposed(*, own_way: bool) -> tuple[CollectorRegistry, Meters]:
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False)
    times = partial(PrometheusTimes, registry) if own_way else None
    return registry, Meters(_provider(reader), times=times)


def scraped(registry: CollectorRegistry) -> dict[str, Any]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        family.name: (
            family.type,
            family.documentation,
            sorted((one.name, sorted(one.labels.items()), one.value) for one in family.samples),
        )
        for family in families
    }


def test_prometheus_own_histograms_tell_a_scraper_the_same() -> None:
    told = []
    for own_way in (True, False):
        registry, metrics = exposed(own_way=own_way)
        everything(metrics)
        metrics.job_ended("acme", COMPLETED, 700.0)
        told.append(scraped(registry))
    ours, theirs = told
    assert ours == theirs


@pytest.mark.parametrize("own_way", [True, False])
def test_prometheus_calls_a_metric_what_the_catalogue_says(own_way: bool) -> None:
    registry, metrics = exposed(own_way=own_way)
    everything(metrics)
    text = generate_latest(registry).decode()
    for metric in CATALOGUE:
        is_histogram = metric.instrument is Instrument.HISTOGRAM
        name = f"{metric.prometheus}_bucket" if is_histogram else metric.prometheus
        series = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        assert series, name
        for label in metric.split_by:
            assert f'{label.replace(".", "_")}="' in series[0], series[0]
