"""Counts and measures what happens in the flow, with OpenTelemetry.

Counts are plain numbers that are read when somebody looks: to add to a counter of the library
costs a fifth of an update's whole way. No update reaches a histogram.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import get_args

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from worker.core.reply import ReplyKind
from worker.core.verdict import TABLE, Kind, Verdict
from worker.telemetry import catalogue as m
from worker.telemetry import conventions as c
from worker.telemetry.metrics import Metrics, Readings, Unclaimed
from worker.telemetry.times import MeteredTimes, Times, Values

Reading = Callable[[], Iterable[tuple[Values, int]]]

_JOBS = (c.RABBITMQ, c.PROCESS, c.JOBS)
_REPLIES = (c.RABBITMQ, c.PUBLISH, c.REPLIES)
_AGENT = (c.INVOKE_AGENT, c.AUI)


class Meters(Metrics):
    """Counts and measures.

    Args:
        provider: makes the instruments.
        networks: whose counts are told from the beginning on, while they are 0: what appears with
            its first count has not risen, to an alert.
        times: makes the histograms; by default, with the provider.
    """

    def __init__(
        self,
        provider: MeterProvider,
        networks: Iterable[str] = (),
        times: Callable[[m.Metric, Values], Times] | None = None,
    ) -> None:
        meter = provider.get_meter(c.SCOPE, schema_url=c.SCHEMA_URL)
        times = times or partial(MeteredTimes, meter)
        self._meter = meter
        self._consumed = _Counts(meter, m.CONSUMED, _JOBS)
        self._ended = _Counts(meter, m.ENDED)
        self._dead_lettered = _Counts(meter, m.DEAD_LETTERED)
        self._retries = _Counts(meter, m.RETRIES)
        self._sent = _Counts(meter, m.SENT, _REPLIES)
        self._coalesced = _Counts(meter, m.COALESCED)
        self._recovered = _Counts(meter, m.RECOVERED)
        self._averted = _Counts(meter, m.AVERTED)
        self._brownouts = _Counts(meter, m.BROWNOUTS)
        self._unclaimed = _Counts(meter, m.UNCLAIMED)
        self._process = times(m.PROCESS_DURATION, _JOBS)
        self._publish = times(m.PUBLISH_DURATION, _REPLIES)
        self._attempt = times(m.ATTEMPT_DURATION, _AGENT)
        self._first_chunk = times(m.FIRST_CHUNK, _AGENT)
        self._per_chunk = times(m.PER_CHUNK, _AGENT)
        self._queue_wait = times(m.QUEUE_WAIT, ())
        self._first_text = times(m.FIRST_TEXT, ())
        self._begin_at_zero(networks)

    def job_begun(self, network: str, queue_wait: float | None) -> None:
        """Measure how long it lay in its queue; the clocks of others may be ahead of ours."""
        if queue_wait is not None:
            self._queue_wait.record(max(queue_wait, 0.0), (network,))

    def job_ended(self, network: str, verdict: Verdict, seconds: float) -> None:
        """Count a job."""
        values = (network, _error(verdict))
        self._consumed[values] += 1
        self._ended[network, str(verdict.kind), verdict.reason] += 1
        self._process.record(seconds, values)

    def dead_lettered(self, network: str, reason: str) -> None:
        """Count a dead letter."""
        self._dead_lettered[network, reason] += 1

    def retried(self, network: str, reason: str) -> None:
        """Count a retry."""
        self._retries[network, reason] += 1

    def attempt_ended(
        self,
        network: str,
        verdict: Verdict,
        seconds: float,
        first_text: float | None = None,
        per_text: float | None = None,
    ) -> None:
        """Measure an attempt."""
        values = (network, _error(verdict))
        self._attempt.record(seconds, values)
        if first_text is not None:
            self._first_chunk.record(first_text, values)
        if per_text is not None:
            self._per_chunk.record(per_text, values)

    def first_text(self, network: str, seconds: float) -> None:
        """Measure how long subscribers waited."""
        self._first_text.record(seconds, (network,))

    def sent(self, kind: ReplyKind) -> None:
        """Count a reply."""
        self._sent[kind,] += 1

    def confirmed(self, seconds: float) -> None:
        """Measure how long a confirm took."""
        self._publish.record(seconds, ())

    def coalesced(self, updates: int) -> None:
        """Count updates."""
        self._coalesced[()] += updates

    def recovered(self, network: str) -> None:
        """Count an answer."""
        self._recovered[network,] += 1

    def averted(self, network: str) -> None:
        """Count a message."""
        self._averted[network,] += 1

    def browned_out(self, network: str) -> None:
        """Count a brown-out."""
        self._brownouts[network,] += 1

    def unclaimed(self, reason: Unclaimed) -> None:
        """Count a reply."""
        self._unclaimed[reason,] += 1

    def observe(self, readings: Readings) -> None:
        """Make the gauges."""
        for metric, number in (
            (m.IN_FLIGHT, readings.in_flight),
            (m.WAITING, readings.waiting),
            (m.PENDING, readings.pending),
            (m.READY, readings.ready),
        ):
            self._gauge(metric, partial(_one, number))
        for metric, by_name in (
            (m.BROWN, readings.brown),
            (m.CONVERSATIONS, readings.conversations),
            (m.SOCKETS_KEPT, readings.sockets_kept),
            (m.LINK_UP, readings.links_up),
            (m.LINK_BLOCKED, readings.links_blocked),
        ):
            self._gauge(metric, partial(_each, by_name))
        self._gauge(m.PARTITION_CONSUMED, lambda: readings.partitions().items())

    def _gauge(self, metric: m.Metric, read: Reading) -> None:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(int(value), metric.attributes(of)) for of, value in read()]

        self._meter.create_observable_gauge(metric.name, [observe], metric.unit, metric.says)

    def _begin_at_zero(self, networks: Iterable[str]) -> None:
        self._coalesced[()] = 0
        for reason in get_args(Unclaimed):
            self._unclaimed[reason,] = 0
        for kind in ReplyKind:
            self._sent[kind,] = 0
        for network in networks:
            for counts in (self._recovered, self._averted, self._brownouts):
                counts[network,] = 0
            for row in TABLE:
                self._ended[network, str(row.kind), row.reason] = 0
                if row.kind is Kind.INTERRUPTED:
                    self._retries[network, row.reason] = 0
                if row.kind in (Kind.INTERRUPTED, Kind.REJECTED):
                    self._dead_lettered[network, row.reason] = 0


class _Counts(defaultdict[Values, int]):
    """A counter: its counts, by what it is split by.

    Args:
        meter: makes the instrument.
        metric: which one.
        fixed: the values of its first attributes, where they are always the same.
    """

    def __init__(self, meter: Meter, metric: m.Metric, fixed: Values = ()) -> None:
        super().__init__(int)
        self._metric = metric
        self._fixed = fixed
        meter.create_observable_counter(metric.name, [self._observe], metric.unit, metric.says)

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, self._metric.attributes(self._fixed + of))
            for of, count in list(self.items())  # the event loop may be counting on
        ]


def _error(verdict: Verdict) -> str:
    return "" if verdict.kind in (Kind.COMPLETED, Kind.POSTPONED) else verdict.reason


def _one(read: Callable[[], int]) -> Iterable[tuple[Values, int]]:
    return [((), read())]


def _each(read: Callable[[], Mapping[str, int]]) -> Iterable[tuple[Values, int]]:
    return [((name,), value) for name, value in read().items()]
