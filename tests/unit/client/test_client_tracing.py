"""The span of a job that is sent: a producer's, whose context goes with the job."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from worker.client.errors import NotAccepted
from worker.client.requests import Request, Requests
from worker.client.tracing import publishing

REQUEST = Requests("acme", "sms").message("what is secret", "t1", None, {"job_id": "j1"})
BY_USER = Requests("acme", "sms").message("what is secret", None, "+49 170", {})


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Have the program's tracer be one of the test's own: the global one can be set only once."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return spans


def test_a_job_has_a_span_and_carries_it(exporter: InMemorySpanExporter) -> None:
    with publishing(REQUEST) as headers:
        pass
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == ("publish aui.jobs", SpanKind.PRODUCER)
    assert headers["traceparent"].split("-")[2] == trace.format_span_id(span.context.span_id)
    assert dict(span.attributes or {}) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "aui.jobs.acme",
        "messaging.rabbitmq.destination.routing_key": REQUEST.key,
        "messaging.message.id": "j1",
        "gen_ai.conversation.id": "t1",
        "aui.network": "acme",
        "aui.channel": "sms",
    }


@pytest.mark.parametrize("request_", [REQUEST, BY_USER])
def test_it_holds_no_text_and_no_user(exporter: InMemorySpanExporter, request_: Request) -> None:
    with pytest.raises(NotAccepted), publishing(request_):
        raise NotAccepted("what is secret, +49 170", "j1")
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert (span.attributes or {})["error.type"] == "NotAccepted"
    # Not all of it as JSON: ids and times are made of digits, too.
    told = f"{span.name} {dict(span.attributes or {})} {span.status.description} {span.events}"
    assert "secret" not in told
    assert "170" not in told


def test_without_a_provider_there_is_nothing_to_carry() -> None:
    with publishing(REQUEST) as headers:
        assert headers == {}
