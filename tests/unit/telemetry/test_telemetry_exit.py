"""A collector that is gone or does not answer holds up neither the work nor the exit.

It is waited for 600 seconds here, and for 30 by what the SDK does by itself: a process that waits
is seen.
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.otlp_sink import OtlpSink, otlp_sink

PROGRAM = """
import asyncio, logging, sys
from tests.unit.telemetry.spans import address, job
from worker.core.verdict import COMPLETED
from worker.telemetry.setup import set_up_telemetry

def a_job(telemetry):
    message = job({})
    with telemetry.tracing.job(message, address(message)) as trace:
        trace.ended(COMPLETED)
    telemetry.metrics.job_ended("default", COMPLETED, 1.0)

async def main():
    telemetry = set_up_telemetry("w1")
    for _ in range(40):
        a_job(telemetry)
    print("worked", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    a_job(telemetry)
    if sys.argv[1:] != ["crash"]:
        await telemetry.shutdown(within=0.2)
    print("stopped", flush=True)

logging.basicConfig(format="%(message)s", stream=sys.stdout)
asyncio.run(main())
print("ended", flush=True)
"""
LAST = "telemetry: the last of it could not be exported"


@pytest.fixture
def mute() -> Iterator[OtlpSink]:
    """Run a collector that takes what it is sent, and never answers."""
    with otlp_sink(answer=False) as sink:
        yield sink


def environment(endpoint: str) -> dict[str, str]:
    return {
        "PYTHONPATH": ".",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a-secret",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
        "OTEL_BSP_SCHEDULE_DELAY": "1",
        "OTEL_BSP_MAX_QUEUE_SIZE": "8",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
        "OTEL_METRIC_EXPORT_INTERVAL": "10",
    }


def started(endpoint: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment(endpoint),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_one_that_does_not_answer(mute: OtlpSink) -> None:
    with started(mute.url) as process:
        assert mute.asked.wait(40)
        told, _ = process.communicate("\n", timeout=20)
    assert process.returncode == 0, told
    lines = told.splitlines()
    assert [line for line in lines if not line.startswith("telemetry: ")] == [
        "worked",
        "stopped",
        "ended",
    ]
    assert lines.count("telemetry: Queue full, dropping str.") <= 1
    assert LAST in lines


def test_a_process_that_ends_without_goodbye_does_not_wait_either(mute: OtlpSink) -> None:
    with started(mute.url, "crash") as process:
        assert mute.asked.wait(40)
        told, _ = process.communicate("\n", timeout=20)
    assert process.returncode == 0, told
    assert told.endswith("ended\n")


def test_one_that_is_not_there() -> None:
    with otlp_sink() as sink:
        nowhere = sink.url
    with started(nowhere) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("telemetry: Transient error"):
            assert line
        told, _ = process.communicate("\n", timeout=20)
    assert process.returncode == 0, told
    assert "ConnectionError" in line
    assert "Transient error" not in told
    assert LAST in told
    assert "secret" not in told
