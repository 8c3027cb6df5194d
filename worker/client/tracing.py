"""The span of a job that is sent, in whatever trace the program is in.

Made by the program's own tracer provider: without one it costs next to nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from worker.client.requests import Request
from worker.telemetry import conventions as c

_NAME = f"{c.PUBLISH} {c.JOBS}"


@contextmanager
def publishing(request: Request) -> Iterator[dict[str, str]]:
    """Make the span; lends the headers that the worker goes on with the trace by."""
    tracer = trace.get_tracer(c.SCOPE, schema_url=c.SCHEMA_URL)
    with tracer.start_as_current_span(
        _NAME,
        kind=SpanKind.PRODUCER,
        attributes=_attributes(request),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        try:
            yield headers
        except BaseException as error:
            span.set_attribute(c.ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def _attributes(request: Request) -> dict[str, str]:
    attributes = {
        c.MESSAGING_SYSTEM: c.RABBITMQ,
        c.MESSAGING_OPERATION_NAME: c.PUBLISH,
        c.MESSAGING_OPERATION_TYPE: c.SEND,
        c.MESSAGING_DESTINATION_NAME: request.exchange,
        c.MESSAGING_ROUTING_KEY: request.key,
        c.MESSAGING_MESSAGE_ID: request.job_id,
        c.NETWORK: request.network,
        c.CHANNEL: request.channel,
    }
    if request.task_id is not None:
        attributes[c.GEN_AI_CONVERSATION_ID] = request.task_id
    return attributes
