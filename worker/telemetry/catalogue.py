"""Every metric the worker has: what it is called, what it says, and what it is split by.

The instruments are made from this table, and the operators' page prints it. What they are split by
is bounded: networks, reasons, kinds, links and queues; never a task, a job, a user or a channel.

Sources of the names that do not begin with ``aui.``: OpenTelemetry's "Messaging metrics" and
"Generative AI metrics". The boundaries they advise end at 10 and 82 seconds; streams last longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker.telemetry import conventions as c


class Instrument(StrEnum):
    """How the values of a metric add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: as OpenTelemetry calls it.
        instrument: counter, gauge or histogram.
        unit: of its values, in UCUM.
        says: what it counts or measures, in a line.
        split_by: its attributes.
        buckets: the boundaries of a histogram.
    """

    name: str
    instrument: Instrument
    unit: str
    says: str
    split_by: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def prometheus(self) -> str:
        """What Prometheus calls it; of a histogram, without ``_bucket``, ``_sum``, ``_count``."""
        name = self.name.replace(".", "_")
        if self.unit == "s":
            name = f"{name}_seconds"
        return f"{name}_total" if self.instrument is Instrument.COUNTER else name

    def attributes(self, values: Sequence[str]) -> dict[str, str]:
        """Return the attributes of one of its series.

        Args:
            values: of ``split_by``, in that order; empty where one is not set.
        """
        named = zip(self.split_by, values, strict=True)
        return {name: value for name, value in named if value}


def _counter(name: str, unit: str, says: str, *split_by: str) -> Metric:
    return Metric(name, Instrument.COUNTER, f"{{{unit}}}", says, split_by)


def _gauge(name: str, unit: str, says: str, *split_by: str) -> Metric:
    return Metric(name, Instrument.GAUGE, f"{{{unit}}}", says, split_by)


def _switch(name: str, says: str, *split_by: str) -> Metric:
    return Metric(name, Instrument.GAUGE, "1", f"1 while {says}, else 0", split_by)


def _seconds(name: str, says: str, buckets: tuple[float, ...], *split_by: str) -> Metric:
    return Metric(name, Instrument.HISTOGRAM, "s", says, split_by, buckets)


_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""For what a broker does, or an agent between two texts."""
_STREAM = (
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5),
    *(10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0),
)
"""For what an agent does: up to the deadline of a job."""

_CONSUMING = (c.MESSAGING_SYSTEM, c.MESSAGING_OPERATION_NAME, c.MESSAGING_DESTINATION_NAME)
_PUBLISHING = (c.MESSAGING_SYSTEM, c.MESSAGING_OPERATION_NAME, c.MESSAGING_DESTINATION_TEMPLATE)
_ASKING = (c.GEN_AI_OPERATION_NAME, c.GEN_AI_PROVIDER_NAME, c.NETWORK, c.ERROR_TYPE)

CONSUMED = _counter(
    "messaging.client.consumed.messages",
    "message",
    "Jobs taken from their queues and done with; with an error type, those without an answer",
    *_CONSUMING,
    c.NETWORK,
    c.ERROR_TYPE,
)
SENT = _counter(
    "messaging.client.sent.messages",
    "message",
    "Replies published, by kind",
    *_PUBLISHING,
    c.REPLY_KIND,
)
PROCESS_DURATION = _seconds(
    "messaging.process.duration",
    "From a job's beginning to its end, retries and all",
    _STREAM,
    *_CONSUMING,
    c.NETWORK,
    c.ERROR_TYPE,
)
PUBLISH_DURATION = _seconds(
    "messaging.client.operation.duration",
    "From a terminal reply's publishing to its confirm",
    _QUICK,
    *_PUBLISHING,
)
ATTEMPT_DURATION = _seconds(
    "gen_ai.client.operation.duration",
    "One attempt at AUI, from its beginning to its verdict",
    _STREAM,
    *_ASKING,
)
FIRST_CHUNK = _seconds(
    "gen_ai.client.operation.time_to_first_chunk",
    "From the request sent to AUI to the first text from it",
    _STREAM,
    *_ASKING,
)
PER_CHUNK = _seconds(
    "gen_ai.client.operation.time_per_output_chunk",
    "Between two texts from AUI: the mean of an attempt, once for each",
    _QUICK,
    *_ASKING,
)
QUEUE_WAIT = _seconds(
    "aui.job.queue_wait",
    "From a job's publishing, by its timestamp, to its beginning",
    _STREAM,
    c.NETWORK,
)
FIRST_TEXT = _seconds(
    "aui.job.time_to_first_text",
    "From a job's arrival to the first text published to its subscribers",
    _STREAM,
    c.NETWORK,
)
ENDED = _counter(
    "aui.jobs.ended", "job", "Jobs that ended, by verdict", c.NETWORK, c.VERDICT, c.REASON
)
DEAD_LETTERED = _counter(
    "aui.jobs.dead_lettered", "job", "Jobs kept in aui.dead, by reason", c.NETWORK, c.REASON
)
RETRIES = _counter(
    "aui.jobs.retries",
    "attempt",
    "Interrupted attempts after which another was made, by reason",
    c.NETWORK,
    c.REASON,
)
IN_FLIGHT = _gauge("aui.jobs.in_flight", "job", "Jobs worked on now")
WAITING = _gauge("aui.lanes.waiting", "job", "Jobs received that wait for their turn")
RECOVERED = _counter(
    "aui.answers.recovered", "answer", "Answers found in the history of their task", c.NETWORK
)
AVERTED = _counter(
    "aui.asks.averted", "ask", "Messages not sent a second time, on any evidence", c.NETWORK
)
BROWNOUTS = _counter("aui.brownouts", "brownout", "Times a network was browned out", c.NETWORK)
BROWN = _switch("aui.network.brown", "a network is browned out", c.NETWORK)
UNCLAIMED = _counter(
    "aui.replies.unclaimed",
    "reply",
    "Terminal replies put into aui.unclaimed: unrouted, or refused by a full queue",
    c.REASON,
)
COALESCED = _counter(
    "aui.updates.coalesced", "update", "Updates that a newer one took the place of, unpublished"
)
PENDING = _gauge("aui.publish.pending", "message", "Messages published and not yet confirmed")
LINK_UP = _switch("aui.link.up", "a connection to the broker stands", c.LINK)
LINK_BLOCKED = _switch(
    "aui.link.blocked", "the broker takes no publishes over a connection", c.LINK
)
PARTITION_CONSUMED = _switch(
    "aui.partition.consumed", "the broker has this worker's consumer on a queue", c.NETWORK, c.QUEUE
)
CONVERSATIONS = _gauge(
    "aui.conversations.open", "socket", "WebSockets to AUI with a turn on them", c.NETWORK
)
SOCKETS_KEPT = _gauge(
    "aui.sockets.kept", "socket", "WebSockets kept for the next message of their task", c.NETWORK
)
READY = _switch("aui.ready", "the worker is ready, as /readyz says")

CATALOGUE: Sequence[Metric] = (
    *(CONSUMED, ENDED, DEAD_LETTERED, RETRIES, IN_FLIGHT, WAITING),
    *(PROCESS_DURATION, QUEUE_WAIT, FIRST_TEXT),
    *(ATTEMPT_DURATION, FIRST_CHUNK, PER_CHUNK, RECOVERED, AVERTED),
    *(BROWNOUTS, BROWN, CONVERSATIONS, SOCKETS_KEPT),
    *(SENT, PUBLISH_DURATION, PENDING, COALESCED, UNCLAIMED),
    *(LINK_UP, LINK_BLOCKED, PARTITION_CONSUMED, READY),
)


def markdown() -> str:
    """Return the catalogue as a table in Markdown."""
    rows = [
        f"| `{one.prometheus}` | {one.instrument} | {_split(one)} | {one.says} |\n"
        for one in CATALOGUE
    ]
    return "| metric | kind | split by | what it says |\n|---|---|---|---|\n" + "".join(rows)


def _split(metric: Metric) -> str:
    return ", ".join(f"`{name.replace('.', '_')}`" for name in metric.split_by)
