"""Tracing with a provider of the test's own, and the spans it left."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from worker.core.envelope import Envelope, Properties
from worker.core.job import Address, address_of
from worker.core.job_properties import JobRules
from worker.telemetry.derived_ids import DerivedIds
from worker.telemetry.span_tracing import SpanTracing
from worker.telemetry.tracing import JobTrace, Parent, Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PRODUCER = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PRODUCER}-01"
UNSAMPLED = f"00-{TRACE}-{PRODUCER}-00"
QUEUE = "aui.jobs.p03"


class Traced:
    """Tracing, and where its spans end up."""

    def __init__(self, parent: Parent = "parent", sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        ids = DerivedIds()
        provider = TracerProvider(
            sampler=sampler or ParentBased(ALWAYS_ON), id_generator=ids, shutdown_on_exit=False
        )
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing: Tracing = SpanTracing(provider, parent, ids)

    def job(self, message: Envelope | None = None, tag: int | None = None) -> JobTrace:
        """Begin the trace of a job."""
        message = message or job({"traceparent": SAMPLED})
        return self.tracing.job(message, address(message), QUEUE, tag)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order of their beginning."""
        spans = self.exporter.get_finished_spans()
        return sorted(spans, key=lambda span: span.start_time or 0)

    def named(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


def job(headers: Mapping[str, Any], *, redelivered: bool = False, **properties: Any) -> Envelope:
    """Make the message of a job, by default of task t1, with an id, in its slot."""
    given: dict[str, Any] = {"message_id": "j1", "correlation_id": "c1", **properties}
    return Envelope(
        network="default",
        body=b'{"task_id":"t1","text":"what is secret"}',
        routing_key="3f",
        properties=Properties(headers=headers, **given),
        redelivered=redelivered,
    )


def address(message: Envelope) -> Address:
    """Make out who the replies are for."""
    return address_of(message, JobRules(), lambda: "made")
