"""The spans of a job: their names, their family, and what they may tell."""

from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from tests.unit.telemetry.spans import (
    PRODUCER,
    QUEUE,
    SAMPLED,
    TRACE,
    UNSAMPLED,
    Traced,
    address,
    job,
)
from worker.core.errors import AgentUnavailable
from worker.core.reply import ReplyKind
from worker.core.verdict import COMPLETED, POSTPONED, Source, judge
from worker.telemetry.tracing import UNTRACED, JobTrace

LOST = judge(Source.SERVER_CLOSE, 1011, detail="what is secret")


def told(span: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def test_the_span_of_a_job_is_a_child_of_its_producers_and_linked_to_it() -> None:
    traced = Traced()
    with traced.job(tag=7) as trace:
        trace.ended(COMPLETED, attempts=1)
    span = traced.named("process aui.jobs")
    assert span.kind is SpanKind.CONSUMER
    assert span.parent is not None
    assert format_trace_id(span.context.trace_id) == trace.trace_id == TRACE
    assert format_span_id(span.parent.span_id) == PRODUCER
    assert [format_span_id(link.context.span_id) for link in span.links] == [PRODUCER]
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "aui.jobs",
        "messaging.destination.partition.id": QUEUE,
        "messaging.rabbitmq.destination.routing_key": "3f",
        "messaging.rabbitmq.message.delivery_tag": 7,
        "messaging.message.id": "j1",
        "messaging.message.conversation_id": "c1",
        "gen_ai.conversation.id": "t1",
        "aui.network": "default",
        "aui.channel": "default",
        "aui.delivery_count": 0,
        "aui.verdict": "completed",
        "aui.reason": "completed",
        "aui.attempts": 1,
        "aui.recovered": False,
    }


def test_a_producer_that_is_not_trusted_is_only_linked_to() -> None:
    traced = Traced("link")
    with traced.job() as trace:
        pass
    span = traced.named("process aui.jobs")
    assert span.parent is None
    assert trace.trace_id != TRACE
    assert [format_trace_id(link.context.trace_id) for link in span.links] == [TRACE]


def test_a_foreign_decision_to_sample_is_not_taken_over_a_link() -> None:
    traced = Traced("link", ParentBased(ALWAYS_OFF))
    with traced.job(job({"traceparent": SAMPLED})):
        pass
    assert traced.spans == []


def test_every_reply_carries_the_context_of_the_jobs_span() -> None:
    traced = Traced()
    headers = {"traceparent": SAMPLED, "tracestate": "a=b", "baggage": "k=v"}
    with traced.job(job(headers)) as trace:
        pass
    span_id = format_span_id(traced.named("process aui.jobs").context.span_id)
    assert trace.headers == {
        "traceparent": f"00-{TRACE}-{span_id}-01",
        "tracestate": "a=b",
        "baggage": "k=v",
    }


@pytest.mark.parametrize("value", [SAMPLED.encode(), 7, None, "junk", b"\xff", {"a": 1}, [1]])
def test_headers_of_any_type_are_read(value: object) -> None:
    traced = Traced()
    with traced.job(job({"traceparent": value, "tracestate": 5, "baggage": [b"x"]})):
        pass
    parent = traced.named("process aui.jobs").parent
    assert (parent is not None) == (value == SAMPLED.encode())


def test_an_attempt_is_linked_to_the_one_before_and_told_of_its_retry() -> None:
    traced = Traced()
    with traced.job() as trace:
        with trace.attempt(65) as attempt:
            attempt.first_text(0.8)
            attempt.ended(LOST)
        assert traced.spans == []  # it may have to be told of a retry
        trace.retry("internal_error", 0.5004)
        (first,) = traced.spans
        with trace.attempt(66) as attempt:
            attempt.ended(COMPLETED)
        trace.ended(COMPLETED, attempts=2)
    (process, _, second) = traced.spans
    assert [first.name, second.name] == ["invoke_agent", "invoke_agent"]
    for span in (first, second):
        assert span.kind is SpanKind.CLIENT
        assert span.parent == process.context
    assert [link.context for link in second.links] == [first.context]
    assert first.links == ()
    lost = {"aui.verdict": "interrupted", "aui.reason": "internal_error", "aui.close_code": 1011}
    assert told(first) == [
        ("first_text", {}),
        ("verdict", lost),
        ("retry", {"aui.reason": "internal_error", "aui.retry_in": 0.5}),
    ]
    assert first.status.status_code is StatusCode.ERROR
    assert first.end_time == first.events[-1].timestamp
    assert dict(first.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "aui",
        "gen_ai.conversation.id": "t1",
        "gen_ai.request.stream": True,
        "aui.network": "default",
        "aui.attempt": 65,
        "gen_ai.response.time_to_first_chunk": 0.8,
        "error.type": "internal_error",
    }


def test_an_interrupted_attempt_ends_before_the_next_even_if_nobody_tells_of_a_retry() -> None:
    traced = Traced()
    with traced.job() as trace:
        with trace.attempt(1) as attempt:
            attempt.ended(LOST)
        with trace.attempt(2) as attempt:
            attempt.ended(COMPLETED)
    _, first, second = traced.spans
    assert [link.context for link in second.links] == [first.context]


def test_a_first_text_may_be_told_of_afterwards() -> None:
    traced = Traced()
    with traced.job() as trace, trace.attempt(1) as attempt:
        attempt.first_text(0.8, ago=20.0)
        attempt.ended(COMPLETED)
    first_text, verdict = traced.named("invoke_agent").events
    assert verdict.timestamp - first_text.timestamp >= 20e9


def test_an_interrupted_attempt_without_a_retry_ends_with_the_job() -> None:
    traced = Traced()
    with traced.job() as trace:
        with trace.attempt(1) as attempt:
            attempt.ended(LOST)
        trace.ended(LOST, attempts=1)
    process, attempted = traced.spans
    assert attempted.end_time is not None
    assert process.end_time is not None
    assert attempted.end_time <= process.end_time
    assert process.status.status_code is StatusCode.ERROR
    assert (process.attributes or {})["error.type"] == "internal_error"


def test_a_call_belongs_to_the_attempt_that_is_being_made() -> None:
    traced = Traced()
    with traced.job() as trace:
        with trace.call("list_tasks"):
            pass
        with trace.attempt(1) as attempt:
            with trace.call("task_messages"):
                pass
            attempt.ended(LOST)
        with trace.call("create_task"):
            pass
    process, before, attempted, within, after = traced.spans
    assert [before.name, within.name] == ["GET /tasks", "GET /tasks/{task_id}/messages"]
    assert [before.parent, after.parent] == [process.context, process.context]
    assert within.parent == attempted.context
    assert within.kind is SpanKind.CLIENT
    assert dict(within.attributes or {}) == {
        "http.request.method": "GET",
        "url.template": "/tasks/{task_id}/messages",
        "aui.network": "default",
    }


def test_the_terminal_reply_has_a_span() -> None:
    traced = Traced()
    with traced.job() as trace, trace.publish(ReplyKind.FAILED):
        pass
    process, published = traced.spans
    assert (published.name, published.kind) == ("publish aui.replies", SpanKind.PRODUCER)
    assert published.parent == process.context
    assert dict(published.attributes or {}) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "aui.replies",
        "aui.reply.kind": "failed",
        "aui.network": "default",
    }


def test_of_an_exception_only_the_type_is_told() -> None:
    traced = Traced()
    trace = traced.job()
    with pytest.raises(KeyError), trace, trace.attempt(1), trace.publish(ReplyKind.FINAL):
        raise KeyError("what is secret")
    unavailable = AgentUnavailable(judge(Source.STATUS, 503, detail="what is secret"))
    with pytest.raises(AgentUnavailable), trace.call("task_messages"):
        raise unavailable
    assert [(span.attributes or {})["error.type"] for span in traced.spans] == [
        *["KeyError"] * 3,
        "upstream_error",
    ]
    for span in traced.spans:
        assert span.events == ()
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None


def test_a_job_that_goes_back_to_its_queue_is_no_failure() -> None:
    traced = Traced()
    with traced.job() as trace:
        with trace.attempt(1) as attempt:
            attempt.ended(POSTPONED)
        trace.ended(POSTPONED)
    for span in traced.spans:
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in (span.attributes or {})


def test_no_text_no_user_and_no_foreign_key_is_told_and_no_id_in_a_name() -> None:
    traced = Traced()
    message = job({"traceparent": SAMPLED}, type="message.send")
    message = type(message)(
        network="default",
        body=b'{"user_id":"+4912345","text":"what is secret"}',
        routing_key="+4912345",
        properties=message.properties,
    )
    with traced.job(message) as trace:
        with trace.attempt(1) as attempt, trace.call("create_task"):
            attempt.ended(LOST)
        with trace.publish(ReplyKind.FINAL):
            trace.ended(LOST)
    everything = "".join(span.to_json() for span in traced.spans)
    assert "secret" not in everything
    assert "4912345" not in everything
    assert {span.name for span in traced.spans} == {
        "process aui.jobs",
        "invoke_agent",
        "POST /tasks",
        "publish aui.replies",
    }


def test_below_a_job_that_is_not_sampled_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = Traced()
    with traced.job(job({"traceparent": UNSAMPLED})) as trace:
        monkeypatch.setattr(
            "opentelemetry.sdk.trace.Tracer.start_span", lambda *_: pytest.fail("a span was made")
        )
        assert type(trace) is JobTrace
        assert trace.attempt(1) is UNTRACED.attempt(1)
        assert trace.call("task_messages") is UNTRACED.publish(ReplyKind.FINAL)
        trace.ended(LOST)
    assert traced.spans == []
    assert trace.trace_id == TRACE
    version, trace_id, span_id, flags = trace.headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "00")
    assert span_id != PRODUCER


def test_a_redelivery_goes_on_with_the_trace_that_nobody_began() -> None:
    ours, another = Traced(), Traced()
    with ours.job(job({})) as first, another.job(job({}, redelivered=True)) as again:
        pass
    assert first.trace_id == again.trace_id
    assert first.headers != again.headers
    assert ours.spans[0].parent is None


@pytest.mark.parametrize("sampler", [TraceIdRatioBased(0.5), ParentBased(TraceIdRatioBased(0.5))])
def test_a_redelivery_is_sampled_if_and_only_if_the_delivery_was(sampler: Any) -> None:
    traced = Traced(sampler=sampler)
    sampled = []
    for number in range(64):
        message = job({}, message_id=f"j{number}")
        with traced.job(message) as first, traced.job(message) as again:
            assert first.trace_id == again.trace_id
        assert type(first) is type(again)
        sampled.append(type(first) is not JobTrace)
    assert set(sampled) == {True, False}


def test_jobs_without_an_id_begin_traces_of_their_own() -> None:
    traced = Traced(sampler=ALWAYS_ON)
    named = job({}, message_id="j1")
    nameless = job({}, message_id=None)
    with traced.job(named), traced.job(nameless) as first, traced.job(nameless) as second:
        pass
    assert first.trace_id != second.trace_id


def test_a_job_within_a_trace_names_no_later_one() -> None:
    traced = Traced()
    derived = traced.job(job({})).trace_id
    traced.job(job({"traceparent": SAMPLED}))
    assert traced.job(job({}, message_id=None)).trace_id not in (derived, TRACE)


def test_both_copies_of_a_job_by_user_are_one_trace() -> None:
    traced = Traced()
    first = job({})
    by_user = type(first)(
        network="default", body=b'{"user_id":"u","text":"x"}', properties=first.properties
    )
    with_task = type(first)(
        network="default",
        body=b'{"user_id":"u","task_id":"t","text":"x"}',
        properties=first.properties,
    )
    assert address(with_task).task_id == "t"
    assert traced.job(by_user).trace_id == traced.job(with_task).trace_id
