"""A job that meets close code 1011 once is one trace, from its producer to its final."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from trace_tree import KEY, TEXT, traced, tree

from tests.otlp_sink import otlp_sink

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def said(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def drawn(text: str) -> set[str]:
    """Return the names of the spans and events of a tree."""
    lines = re.findall(r"^[ │├└─·]*(\S.*?)  \+", text, re.MULTILINE)
    return set(lines)


async def test_a_retried_job_is_one_trace(amqp_url: str) -> None:
    with otlp_sink() as sink:
        trace_id = await traced(amqp_url, sink)
    by_name = defaultdict(list)
    for span in sorted(sink.spans, key=lambda span: span.start_time_unix_nano):
        assert span.trace_id.hex() == trace_id
        by_name[span.name].append(span)
    (process,), (first, second) = by_name["process aui.jobs"], by_name["invoke_agent"]
    (published,) = by_name["publish aui.replies"]
    assert by_name["GET /tasks/{task_id}/messages"]
    for span in (first, second, published):
        assert span.parent_span_id == process.span_id
    assert [link.span_id for link in process.links] == [process.parent_span_id]
    assert [link.span_id for link in second.links] == [first.span_id]
    assert [event.name for event in first.events] == ["first_text", "verdict", "retry"]
    assert [event.name for event in second.events] == ["first_text", "verdict"]
    assert said(process)["aui.verdict"] == "completed"
    assert "error.type" in said(first)
    assert "error.type" not in said(second)
    assert "aui.jobs.ended" in sink.metrics
    assert drawn(tree(sink.spans)) == drawn(PAGE.read_text())
    for raw in sink.raw:
        assert KEY.encode() not in raw
        assert TEXT.rpartition("| ")[2].encode() not in raw
