"""The trace of one job that meets close code 1011 once, exported for real and drawn as a tree.

A RabbitMQ, a sandbox of AUI, a worker as a process of its own that exports over OTLP, a collector
in here that decodes it, and a producer that began the trace.
"""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import aio_pika
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.otlp_sink import OtlpSink, otlp_sink
from worker.core.slots import slot_of
from worker.sandbox import Sandbox

KEY = "API_KEY_trace"
NETWORK = "trace"
TEXT = "!1011 after=3 times=1 | I am looking for a built-in microwave"
PATIENCE = 60.0
_SHOWN = (
    "error.type",
    "aui.verdict",
    "aui.reason",
    "aui.attempt",
    "aui.reply.kind",
    "aui.retry_in",
)


def tree(spans: Sequence[Span]) -> str:
    """Draw spans as a tree: name, when it began and how long it took, what it says, its events."""
    known = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent_span_id not in known]
    lines: list[str] = []
    for root in _in_order(roots):
        lines += _drawn(root, spans, root.start_time_unix_nano)
    return "".join(f"{line}\n" for line in lines)


def _drawn(span: Span, spans: Sequence[Span], begun: int) -> Iterator[str]:
    took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    at = _after(span.start_time_unix_nano, begun)
    yield f"{span.name}  {at}, {took:.0f} ms{_said(span.attributes)}"
    below = _in_order([other for other in spans if other.parent_span_id == span.span_id])
    margin = "│    " if below else "     "
    for event in span.events:
        at = _after(event.time_unix_nano, begun)
        yield f"{margin}· {event.name}  {at}{_said(event.attributes)}"
    for other in below:
        first, *rest = _drawn(other, spans, begun)
        last = other is below[-1]
        yield f"{'└──' if last else '├──'} {first}"
        yield from (f"{'    ' if last else '│   '}{line}" for line in rest)


def _in_order(spans: Sequence[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def _after(time: int, begun: int) -> str:
    return f"+{(time - begun) / 1e6:.0f} ms"


def _said(attributes: Sequence[KeyValue]) -> str:
    said = []
    for one in attributes:
        if one.key in _SHOWN:
            kind = one.value.WhichOneof("value")
            said.append(f"{one.key}={getattr(one.value, kind or 'string_value')}")
    return f"  ({', '.join(sorted(said))})" if said else ""


async def traced(amqp_url: str, sink: OtlpSink) -> str:
    """Have a worker do one job, exporting to a sink; return the trace its producer began."""
    trace_id = secrets.token_hex(16)
    async with (
        Sandbox(api_key=KEY, word_delay=0.02) as sandbox,
        await aio_pika.connect(amqp_url) as connection,
    ):
        task = sandbox.create_task("user-1")
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "run"),
            env=_environment(amqp_url, sandbox.base_url, sink.url),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await _ready(worker)
            async with asyncio.timeout(PATIENCE):
                await _ask(connection, task.id, f"00-{trace_id}-{secrets.token_hex(8)}-01")
        finally:
            worker.send_signal(signal.SIGTERM)
            await worker.communicate()
    return trace_id


def _environment(amqp_url: str, aui_url: str, otlp_url: str) -> dict[str, str]:
    return os.environ | {
        "AMQP_URL": amqp_url,
        f"AUI_NETWORKS__{NETWORK.upper()}__API_KEY": KEY,
        "AUI_BASE_URL": aui_url,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_url,
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "WORKER_HTTP_HOST": "127.0.0.1",
        "WORKER_HTTP_PORT": "0",
    }


async def _ready(worker: asyncio.subprocess.Process) -> None:
    assert worker.stderr is not None
    lines = ""
    async with asyncio.timeout(PATIENCE):
        while "ready:" not in lines:
            line = await worker.stderr.readline()
            if not line:
                raise RuntimeError(f"the worker ended: {lines}")
            lines += line.decode()


async def _ask(connection: aio_pika.abc.AbstractConnection, task_id: str, traceparent: str) -> None:
    """Publish a job and wait for its final, which carries the same trace."""
    channel = await connection.channel()
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind("aui.replies", f"{NETWORK}.*.{task_id}.final")
    jobs = await channel.get_exchange(f"aui.jobs.{NETWORK}", ensure=False)
    body = f'{{"task_id": "{task_id}", "text": "{TEXT}"}}'
    job = aio_pika.Message(
        body.encode(),
        headers={"traceparent": traceparent},
        message_id="job-1",
        timestamp=datetime.now(UTC),
        delivery_mode=2,
    )
    await jobs.publish(job, slot_of(task_id))
    async with queue.iterator(no_ack=True) as replies:
        final = await anext(replies)
    carried = str(final.headers.get("traceparent", ""))
    if carried.split("-")[1:2] != traceparent.split("-")[1:2]:
        raise RuntimeError(f"the final carries another trace: {carried!r}")


def main() -> int:
    """Draw the trace of a job."""
    with otlp_sink() as sink:
        trace_id = asyncio.run(traced(os.environ["AMQP_URL"], sink))
        print(tree([span for span in sink.spans if span.trace_id.hex() == trace_id]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
