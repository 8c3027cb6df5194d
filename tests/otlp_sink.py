"""A collector for tests: takes OTLP over HTTP on loopback, decodes and keeps it."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_UNPACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class OtlpSink:
    """What came in.

    Attributes:
        url: for ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        spans: all spans.
        metrics: the metrics of the last export, by name.
        resources: who sent each export.
        headers: those of each request, names in lower case.
        raw: the bodies, unpacked.
        asked: set once a request has come, answered or not.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.metrics: dict[str, Metric] = {}
        self.resources: list[Resource] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        self.asked = Event()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep one export."""
        raw = _UNPACKED[headers.get("content-encoding", "")](body)
        self.headers.append(headers)
        self.raw.append(raw)
        if path == "/v1/traces":
            for spans in ExportTraceServiceRequest.FromString(raw).resource_spans:
                self.resources.append(spans.resource)
                self.spans += [span for scope in spans.scope_spans for span in scope.spans]
        else:
            for metrics in ExportMetricsServiceRequest.FromString(raw).resource_metrics:
                self.resources.append(metrics.resource)
                told = [metric for scope in metrics.scope_metrics for metric in scope.metrics]
                self.metrics = {metric.name: metric for metric in told}


@contextmanager
def otlp_sink(*, answer: bool = True) -> Iterator[OtlpSink]:
    """Run a collector for the length of the context; perhaps one that takes all and never answers.

    Args:
        answer: whether it answers.
    """
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.asked.set()
            if not answer:
                over.wait()
                return
            sink.take(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink = OtlpSink(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
