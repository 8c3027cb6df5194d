"""What the libraries complain of is told once in a while, without what may be secret."""

import logging
from collections.abc import Iterator

import pytest

from worker.telemetry.complaints import AGAIN_AFTER, Complaints, hear_complaints

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Told(logging.Handler):
    """Keeps what reaches the root logger."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def heard() -> Iterator[Told]:
    """Listen to the libraries, and give the logging back as it was."""
    told, root = Told(), logging.getLogger()
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "urllib3")]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    hear_complaints()
    root.addHandler(told)
    yield told
    root.removeHandler(told)
    for one, handlers, level, propagate in before:
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def test_a_complaint_is_told_once(heard: Told) -> None:
    log = logging.getLogger(EXPORTER)
    for seconds in (1.0, 2.0, 4.0):
        log.warning("Transient error %s, retrying in %.2fs.", ConnectionError("a secret"), seconds)
    log.error("Failed to export %s batch code: %s, reason: %s", "spans", 401, "Unauthorized")
    assert heard.messages == [
        "telemetry: Transient error ConnectionError, retrying in 1.00s.",
        "telemetry: Failed to export spans batch code: 401, reason: Unauthorized",
    ]
    assert {record.levelname for record in heard.records} == {"WARNING"}


def test_it_is_told_again_later(heard: Told) -> None:
    complaints = Complaints()
    for at in (0.0, AGAIN_AFTER - 1, AGAIN_AFTER, AGAIN_AFTER + 1):
        record = logging.LogRecord(EXPORTER, logging.ERROR, "", 0, "no", None, None)
        record.created = at
        complaints.handle(record)
    assert len(heard.messages) == 2


def test_no_variables_value_is_told(heard: Told) -> None:
    logging.getLogger("opentelemetry.util.re").warning("Header format invalid: %s", "key a-secret")
    error = ValueError("a secret")
    logging.getLogger("opentelemetry.sdk.trace").error("Exception in export.", exc_info=error)
    logging.getLogger(EXPORTER).error("Failed to encode: %s", error)
    assert all(record.exc_info is None for record in heard.records)
    assert heard.messages == [
        "telemetry: Header format invalid: str",
        "telemetry: Exception in export. ValueError",
        "telemetry: Failed to encode: ValueError",
    ]


def test_a_complaint_that_cannot_be_put_together_is_told_as_it_is(heard: Told) -> None:
    record = logging.LogRecord(EXPORTER, logging.ERROR, "", 0, "%d spans dropped", ("many",), None)
    Complaints().handle(record)
    assert heard.messages == ["telemetry: %d spans dropped"]


def test_what_is_no_complaint_is_not_told(heard: Told) -> None:
    logging.getLogger("opentelemetry.sdk.trace").info("all is well")
    logging.getLogger("urllib3.connectionpool").warning("Retrying /?key=secret")
    assert heard.messages == []


def test_hearing_twice_tells_once(heard: Told) -> None:
    hear_complaints()
    logging.getLogger("opentelemetry.sdk").warning("no")
    assert heard.messages == ["telemetry: no"]
