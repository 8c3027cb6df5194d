"""The catalogue of metrics is bounded, and prints itself."""

from worker.telemetry import conventions as c
from worker.telemetry.catalogue import CATALOGUE, Instrument, markdown

BOUNDED = {
    *(c.NETWORK, c.REASON, c.VERDICT, c.ERROR_TYPE, c.REPLY_KIND, c.LINK, c.QUEUE),
    *(c.MESSAGING_SYSTEM, c.MESSAGING_OPERATION_NAME, c.MESSAGING_DESTINATION_NAME),
    *(c.MESSAGING_DESTINATION_TEMPLATE, c.GEN_AI_OPERATION_NAME, c.GEN_AI_PROVIDER_NAME),
}


def test_no_metric_is_split_by_what_has_no_bound() -> None:
    assert {name for metric in CATALOGUE for name in metric.split_by} == BOUNDED


def test_no_two_metrics_have_one_name() -> None:
    names = [metric.prometheus for metric in CATALOGUE]
    assert len(set(names)) == len(names)


def test_histograms_reach_as_far_as_what_they_measure() -> None:
    for metric in CATALOGUE:
        assert bool(metric.buckets) == (metric.instrument is Instrument.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        if metric.buckets:
            assert metric.buckets[-1] >= 60.0
    reach = {metric.name: metric.buckets[-1] for metric in CATALOGUE if metric.buckets}
    assert reach["messaging.process.duration"] == 600.0


def test_the_table_has_a_row_for_each() -> None:
    head, rule, *rows = markdown().splitlines()
    assert head.count("|") == rule.count("|") == 5
    assert [row.split("`")[1] for row in rows] == [metric.prometheus for metric in CATALOGUE]
    (ended,) = (row for row in rows if "aui_jobs_ended_total" in row)
    assert ended == (
        "| `aui_jobs_ended_total` | counter | `aui_network`, `aui_verdict`, `aui_reason` |"
        " Jobs that ended, by verdict |"
    )
