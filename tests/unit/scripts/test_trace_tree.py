"""The spans of a trace are drawn as a tree, in the order of their beginning."""

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from trace_tree import tree


def span(number: int, parent: int, name: str, begun: int, ended: int, **said: str) -> Span:
    """Make a span; times are in milliseconds."""
    return Span(
        span_id=bytes([number]),
        parent_span_id=bytes([parent]),
        name=name,
        start_time_unix_nano=begun * 1_000_000,
        end_time_unix_nano=ended * 1_000_000,
        attributes=[
            KeyValue(key=key.replace("_", "."), value=AnyValue(string_value=value))
            for key, value in said.items()
        ],
    )


def test_children_stand_below_their_parents_with_their_events() -> None:
    first = span(2, 1, "invoke_agent", 101, 111, error_type="internal_error", not_shown="x")
    first.events.add(name="retry", time_unix_nano=110_000_000).attributes.add(
        key="aui.retry_in"
    ).value.double_value = 0.5
    spans = [
        span(4, 1, "publish aui.replies", 150, 153),
        span(3, 2, "GET /tasks", 102, 104),
        first,
        span(1, 99, "process aui.jobs", 100, 160),
    ]
    assert tree(spans).splitlines() == [
        "process aui.jobs  +0 ms, 60 ms",
        "├── invoke_agent  +1 ms, 10 ms  (error.type=internal_error)",
        "│   │    · retry  +10 ms  (aui.retry_in=0.5)",
        "│   └── GET /tasks  +2 ms, 2 ms",
        "└── publish aui.replies  +50 ms, 3 ms",
    ]


def test_no_spans_are_no_tree() -> None:
    assert tree([]) == ""
