"""What a job leaves in traces, metrics and the log, whichever way it goes."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.conformance.script import Close, final, updating
from tests.unit.relay.flow import Flow, again, from_user, message
from tests.unit.telemetry.spans import PRODUCER, SAMPLED, TRACE, UNSAMPLED, Traced
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.telemetry.logs import FIELDS
from worker.telemetry.meters import Meters
from worker.telemetry.tracing import JobTrace, Tracing

pytestmark = pytest.mark.anyio

SECRET = "my card is 4111"  # what a user says is nobody else's business
TRACED = {"traceparent": SAMPLED}


class Watched(Flow):
    """A flow of which traces and metrics are kept."""

    def __init__(self, **more: Any) -> None:
        self.traced = Traced()
        self.reader = InMemoryMetricReader()
        provider = MeterProvider([self.reader], shutdown_on_exit=False)
        super().__init__(tracing=self.traced.tracing, metrics=Meters(provider, ["default"]), **more)

    @property
    def names(self) -> list[str]:
        """The names of the spans, in the order they began."""
        return [span.name for span in self.traced.spans]

    def count(self, name: str, **attributes: str) -> float:
        """Sum up a counter, or the measurements of a histogram, over what has these attributes."""
        wanted = {key.replace("_", ".", 1): value for key, value in attributes.items()}
        data = self.reader.get_metrics_data()
        assert data is not None
        return sum(
            point.value if hasattr(point, "value") else point.count
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if wanted.items() <= dict(point.attributes or {}).items()
        )


def job(**more: Any) -> Envelope:
    return message(text=SECRET, headers=TRACED, **more)


async def test_an_answered_job_is_one_trace_that_every_reply_goes_on_with() -> None:
    flow = Watched()
    flow.agent.play([updating("I"), updating("I found"), final("I found it")])

    await flow.handle(job())

    assert flow.names == ["process aui.jobs", "invoke_agent", "publish aui.replies"]
    process, attempt, published = flow.traced.spans
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == PRODUCER
    assert process.context is not None
    own = f"00-{TRACE}-{process.context.span_id:016x}-01"
    assert [reply.headers["traceparent"] for reply in flow.publisher.published] == [own] * 3
    for below in (attempt, published):
        assert below.parent == process.context
    assert [event.name for event in attempt.events] == ["first_text", "verdict"]


async def test_a_job_of_no_trace_begins_one() -> None:
    flow = Watched()
    await flow.handle(message())
    (process, *_) = flow.traced.spans
    assert process.context is not None
    carried = {reply.headers["traceparent"][:-3] for reply in flow.publisher.published}
    assert carried == {f"00-{process.context.trace_id:032x}-{process.context.span_id:016x}"}


async def test_a_job_that_is_not_sampled_leaves_no_span_and_breaks_no_trace() -> None:
    flow = Watched()
    await flow.handle(message(headers={"traceparent": UNSAMPLED}))
    assert flow.names == []
    for reply in flow.publisher.published:
        assert reply.headers["traceparent"].startswith(f"00-{TRACE}-")


async def test_what_a_job_counts() -> None:
    flow = Watched()
    flow.agent.play([updating("I"), updating("I found"), final("I found it")])
    await flow.handle(job(timestamp=flow.clock.utc()))
    for name in (
        "messaging.client.consumed.messages",
        "messaging.process.duration",
        "messaging.client.operation.duration",
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "aui.job.queue_wait",
        "aui.job.time_to_first_text",
    ):
        assert flow.count(name) == 1, name
    assert flow.count("aui.jobs.ended", aui_verdict="completed") == 1
    for name in ("aui.jobs.dead_lettered", "aui.jobs.retries", "aui.asks.averted"):
        assert flow.count(name) == 0, name


async def test_a_retry_is_counted_and_told_to_the_attempt_before() -> None:
    flow = Watched()
    flow.agent.play([updating("I"), Close(1011)])
    await flow.handle(job())
    first, second = (span for span in flow.traced.spans if span.name == "invoke_agent")
    assert [event.name for event in first.events] == ["first_text", "verdict", "retry"]
    assert [link.context for link in second.links] == [first.context]
    (retrying,) = (reply for reply in flow.publisher.published if str(reply.kind) == "retrying")
    assert flow.count("aui.jobs.retries", aui_reason=retrying.headers[h.REASON]) == 1
    assert flow.count("gen_ai.client.operation.duration") == 2
    assert flow.count("aui.job.time_to_first_text") == 1


async def test_a_dead_letter_is_counted_and_its_span_has_failed() -> None:
    flow = Watched()
    flow.agent.play([Close(1008, "no such task")])
    await flow.handle(job())
    process = flow.traced.named("process aui.jobs")
    reason = flow.publisher.published[-1].headers[h.REASON]
    assert (process.attributes or {})["error.type"] == reason
    assert flow.count("aui.jobs.dead_lettered", aui_reason=reason) == 1
    assert flow.count("aui.jobs.ended", aui_verdict="rejected", aui_reason=reason) == 1
    assert flow.count("messaging.client.consumed.messages", error_type=reason) == 1


async def test_an_answer_from_the_history_is_counted_as_one_that_nobody_was_asked_for() -> None:
    flow = Watched()
    flow.agent.say("task_1", SECRET, by_user=True)
    flow.agent.say("task_1", "I found it", by_user=False)
    await flow.handle(again(job()))
    assert "GET /tasks/{task_id}/messages" in flow.names
    assert flow.count("aui.answers.recovered") == 1
    assert flow.count("aui.asks.averted") == 1


async def test_a_job_that_has_ended_before_averts_an_ask() -> None:
    flow = Watched()
    await flow.handle(job())
    await flow.handle(again(job()))
    assert flow.count("aui.asks.averted") == 1
    assert flow.count("aui.jobs.ended") == 1


async def test_finding_a_users_task_is_no_attempt_at_the_agent() -> None:
    flow = Watched()
    await flow.handle(from_user(text=SECRET, headers=TRACED))
    assert flow.names == ["process aui.jobs", "GET /tasks", "POST /tasks"]
    assert flow.count("gen_ai.client.operation.duration") == 0
    assert flow.count("aui.jobs.ended") == 0  # it was handed on to its task's partition


async def test_a_request_is_one_call_and_no_attempt_at_the_agent() -> None:
    flow = Watched()
    asked = message(reply_to="sub.asker")
    properties = replace(asked.properties, type="task.messages")
    await flow.agent.create_task("user_1")
    flow.agent.histories["task_1"] = []
    await flow.handle(replace(asked, properties=properties))
    assert flow.names == [
        "process aui.jobs",
        "GET /tasks/{task_id}/messages",
        "publish aui.replies",
    ]
    assert flow.count("aui.jobs.ended", aui_verdict="completed") == 1


@pytest.mark.parametrize(("kind", "streamed"), [("message.send", True), ("message.post", False)])
async def test_an_attempt_says_whether_the_answer_was_streamed(kind: str, streamed: bool) -> None:
    flow = Watched()
    sent = message()
    await flow.handle(replace(sent, properties=replace(sent.properties, type=kind)))
    (attempt,) = [span for span in flow.traced.spans if span.name == "invoke_agent"]
    assert (attempt.attributes or {})["gen_ai.request.stream"] is streamed


async def test_no_span_and_no_metric_holds_what_is_said() -> None:
    flow = Watched()
    flow.agent.play([updating("my answer is secret"), Close(1011)])
    await flow.handle(job())
    told = "".join(span.to_json() for span in flow.traced.spans)
    data = flow.reader.get_metrics_data()
    assert data is not None
    assert "invoke_agent" in told
    for word in (SECRET, "my answer"):
        assert word not in told
        assert word not in data.to_json()


def fields_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Return the fields of the line that tells the end of a job."""
    (line,) = [each for each in caplog.records if each.message == "job ended"]
    fields = getattr(line, FIELDS)
    assert isinstance(fields, dict)
    return fields


async def test_one_line_tells_the_end_of_a_job(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    flow = Watched()
    flow.agent.play([updating("I"), final("I found it")])
    await flow.handle(job(timestamp=flow.clock.utc()))
    fields = fields_of(caplog)
    assert set(fields) == {
        "job", "task", "network", "channel", "verdict", "reason", "attempts", "recovered",
        "seconds", "queue_wait", "first_text", "trace_id",
    }  # fmt: skip
    assert (fields["verdict"], fields["attempts"], fields["trace_id"]) == ("completed", 1, TRACE)
    assert SECRET not in str(fields)


async def test_texts_are_told_only_when_they_are_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    flow = Flow(texts_told=True)
    flow.agent.play([final("I found it")])
    await flow.handle(job())
    fields = fields_of(caplog)
    assert (fields["text"], fields["answer"]) == (SECRET, "I found it")


async def test_a_job_that_goes_back_is_not_counted_as_ended() -> None:
    flow = Watched()
    flow.gate.quiet()
    delivery = await flow.handle(job())
    assert delivery.given_back
    assert flow.count("aui.jobs.ended") == 0
    process = flow.traced.named("process aui.jobs")
    assert "error.type" not in (process.attributes or {})


async def test_a_trace_that_cannot_be_begun_does_not_cost_the_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Tracing):
        def job(self, *_: object, **__: object) -> JobTrace:
            raise ZeroDivisionError

    flow = Flow(tracing=Broken())
    delivery = await flow.handle(job())
    assert delivery.acked
    assert flow.publisher.published[-1].headers["traceparent"] == SAMPLED
    assert "a bug while beginning a trace" in caplog.text
