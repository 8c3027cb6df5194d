"""Begins the spans of jobs, in the traces that their producers began.

A job that is not sampled gets the trace that does nothing, so that only its beginning costs.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Link, SpanKind, TracerProvider

from worker.core.envelope import Envelope
from worker.core.job import Address
from worker.core.slots import is_slot
from worker.core.topology import jobs_exchange
from worker.telemetry import conventions as c
from worker.telemetry.derived_ids import DerivedIds
from worker.telemetry.spans import JobSpan
from worker.telemetry.tracing import JobTrace, Parent, Tracing

_NOWHERE = Context()
_NAME = f"{c.PROCESS} {c.JOBS}"


class SpanTracing(Tracing):
    """Begins traces of jobs that leave spans.

    Args:
        provider: makes the spans.
        parent: what the span of a job's producer is to the job's.
        ids: the provider's own; gives a job whose producer began no trace the same one each time.
    """

    def __init__(
        self,
        provider: TracerProvider,
        parent: Parent = "parent",
        ids: DerivedIds | None = None,
    ) -> None:
        super().__init__()
        self._tracer = provider.get_tracer(c.SCOPE, schema_url=c.SCHEMA_URL)
        self._propagator = propagate.get_global_textmap()
        self._only_link = parent == "link"
        self._ids = ids
        self._places: dict[tuple[str, str], Mapping[str, str]] = {}

    def job(
        self, envelope: Envelope, address: Address, queue: str = "", tag: int | None = None
    ) -> JobTrace:
        """Begin the span of a job."""
        given = self._propagator.extract(envelope.properties.headers, _NOWHERE, _TEXTS)
        creator = trace.get_current_span(given).get_span_context()
        parent = given
        if creator.is_valid and self._only_link:
            parent = trace.set_span_in_context(trace.INVALID_SPAN, given)
        if parent is not given or not creator.is_valid:
            self._name_new_trace(envelope, address)
        span = self._tracer.start_span(
            _NAME,
            parent,
            SpanKind.CONSUMER,
            self._place(address.network, queue),
            (Link(creator),) if creator.is_valid else None,
        )
        context = trace.set_span_in_context(span, given)
        headers: dict[str, str] = {}
        self._propagator.inject(headers, context)
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        if not span.is_recording():
            return JobTrace(headers, trace_id)
        span.set_attributes(_of_message(envelope, address, tag))
        return JobSpan(self._tracer, span, context, address, headers, trace_id)

    def _name_new_trace(self, envelope: Envelope, address: Address) -> None:
        if self._ids is not None and envelope.properties.message_id:
            # Both copies of a job by user, without and with its task, are one trace.
            whose = address.user_id or address.task_id or ""
            self._ids.derive(address.network, whose, address.job_id)

    def _place(self, network: str, queue: str) -> Mapping[str, str]:
        """Return what is the same for all jobs of a queue; a sampler may decide by it."""
        place = self._places.get((network, queue))
        if place is None:
            place = self._places[network, queue] = {
                c.MESSAGING_SYSTEM: c.RABBITMQ,
                c.MESSAGING_OPERATION_NAME: c.PROCESS,
                c.MESSAGING_OPERATION_TYPE: c.PROCESS,
                c.MESSAGING_DESTINATION_NAME: jobs_exchange(network),
                c.MESSAGING_DESTINATION_PARTITION_ID: queue,
                c.NETWORK: network,
            }
        return place


def _of_message(envelope: Envelope, address: Address, tag: int | None) -> dict[str, str | int]:
    of_message: dict[str, str | int] = {
        c.MESSAGING_MESSAGE_ID: address.job_id,
        c.MESSAGING_CONVERSATION_ID: address.correlation_id,
        c.CHANNEL: address.channel,
        c.DELIVERY_COUNT: envelope.delivery_count,
    }
    if is_slot(envelope.routing_key):  # any other may be a user's id
        of_message[c.MESSAGING_ROUTING_KEY] = envelope.routing_key
    if address.task_id is not None:
        of_message[c.GEN_AI_CONVERSATION_ID] = address.task_id
    if tag is not None:
        of_message[c.MESSAGING_DELIVERY_TAG] = tag
    return of_message


class _Texts(Getter[Mapping[str, Any]]):
    """Reads the headers of a message, whose values may be of any type."""

    def get(self, carrier: Mapping[str, Any], key: str) -> list[str] | None:
        """Return a header that is text, or bytes that are."""
        value = carrier.get(key)
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        return [value] if isinstance(value, str) else None

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:
        """Return the names of all headers."""
        return list(carrier)


_TEXTS = _Texts()
