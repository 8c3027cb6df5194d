"""Own one RabbitMQ: start it, report it as a line of JSON on stdout, end it when stdin ends.

`broker.py` runs this as a process of its own; the only argument is the way of starting one, or
empty. A line on stdin restarts the server and is answered with a new report. SIGTERM ends it at any
time; SIGKILL takes the private processes along (on Linux) and leaves a container to testcontainers'
Ryuk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import asdict
from typing import Any, NoReturn

from worker.testing.broker import NOTHING, Broker, BrokerError, NoServerError, say
from worker.testing.broker_container import NoContainerError, container
from worker.testing.broker_process import process, server


def keep(way: str) -> None:
    """Own one broker until stdin ends or SIGTERM comes."""

    def stop(number: int, _frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # the cleaning up is not to be interrupted
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    with suppress(BrokenPipeError), closing(brokers(way)) as starts:
        report: dict[str, Any] = {}
        while "error" not in report:
            try:
                report = asdict(next(starts))
            except BrokerError as error:
                report = {"error": str(error), "nothing": isinstance(error, NoServerError)}
            os.write(1, json.dumps(report).encode() + b"\n")
            if not sys.stdin.readline():
                break
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def brokers(way: str = "") -> Generator[Broker]:
    """Start a broker the first way that works; each further one is the same, killed and started."""
    if way != "process":
        with closing(container()) as starts:
            try:
                first = next(starts)
            except Exception as error:
                what = (str(error) or repr(error)).splitlines()[0]
                if way == "container":
                    raise BrokerError(f"BROKER=container: {what}") from error
                if not isinstance(error, NoContainerError):
                    say(f"the container failed, a process is tried instead: {what}")
            else:
                yield first
                yield from starts
                return
    if (program := server()) is None:
        raise NoServerError(NOTHING)
    yield from process(program)


if __name__ == "__main__":
    keep(sys.argv[1])
