"""Tracing that is off leaves no spans, and breaks no trace."""

from tests.unit.telemetry.spans import SAMPLED, TRACE, address, job
from worker.core.reply import ReplyKind
from worker.core.verdict import COMPLETED, Source, judge
from worker.telemetry.tracing import UNTRACED, JobTrace, Tracing


def traced(headers: dict[str, object], fields: tuple[str, ...] = ("baggage",)) -> JobTrace:
    message = job(headers)
    return Tracing(fields).job(message, address(message))


def test_the_producers_trace_goes_on_to_every_reply() -> None:
    trace = traced({"traceparent": SAMPLED, "tracestate": "a=b", "baggage": "k=v", "other": "x"})
    assert trace.headers == {"traceparent": SAMPLED, "tracestate": "a=b", "baggage": "k=v"}
    assert trace.trace_id == TRACE


def test_without_more_fields_the_headers_of_the_address_are_used_as_they_are() -> None:
    message = job({"traceparent": SAMPLED})
    to = address(message)
    assert Tracing().job(message, to).headers is to.trace


def test_a_job_without_a_trace_has_none() -> None:
    trace = traced({})
    assert trace.headers == {}
    assert trace.trace_id is None


def test_what_is_malformed_is_left_out() -> None:
    assert traced({"traceparent": "00-1-2-3", "tracestate": "a=b"}).headers == {}
    assert traced({"traceparent": SAMPLED, "baggage": 7}).headers == {"traceparent": SAMPLED}
    assert traced({"traceparent": SAMPLED, "baggage": b"k=v"}).headers == {"traceparent": SAMPLED}
    assert traced({"baggage": "k=" + "v" * 8192}).headers == {}


def test_the_fields_of_another_propagator_go_on_too() -> None:
    trace = traced({"b3": f"{TRACE}-b7ad6b7169203331-1", "traceparent": SAMPLED}, ("b3",))
    assert trace.headers == {"b3": f"{TRACE}-b7ad6b7169203331-1", "traceparent": SAMPLED}


def test_a_header_of_w3c_is_never_taken_unchecked() -> None:
    fields = ("baggage", "traceparent", "tracestate")
    assert traced({"traceparent": "junk", "tracestate": "a=b"}, fields).headers == {}


def test_all_below_a_job_is_shared_and_does_nothing() -> None:
    trace = traced({"traceparent": SAMPLED})
    with trace, trace.attempt(1) as attempt, trace.call("task_messages") as call:
        attempt.first_text(0.8)
        attempt.ended(COMPLETED)
        trace.retry("internal_error", 0.5)
        trace.ended(judge(Source.BUG))
    assert attempt is UNTRACED.attempt(2)
    assert call is UNTRACED.call("create_task") is UNTRACED.publish(ReplyKind.FINAL)
