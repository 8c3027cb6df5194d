"""Log lines for people or for machines, without secrets.

Every record goes through one formatter that redacts the finished line, tracebacks included, so
that no library can leak a key: httpx logs URLs at INFO, websockets at DEBUG.
"""

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal, TextIO

from worker.core.redact import Redactor

LogFormat = Literal["json", "console"]

FIELDS = "fields"
"""The ``extra`` key under which a record carries its structured fields: a flat mapping."""

_QUIET = ("httpx", "httpcore", "websockets", "aio_pika", "aiormq")


def set_up_logs(style: LogFormat, redactor: Redactor, level: int = logging.INFO) -> None:
    """Send all logs to standard error in one format, redacted."""
    handler = _Lines(sys.stderr)
    handler.setFormatter(JsonLines(redactor) if style == "json" else ConsoleLines(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.CRITICAL))


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be written is told by its logger alone."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Replace the library's way, which prints the arguments as they are, secrets included."""
        with suppress(OSError, ValueError):  # the stream itself may be what is broken
            self.stream.write(f"a line of {record.name} could not be logged\n")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the record's fields."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._redactor.text(json.dumps(line, default=str, ensure_ascii=True))


class ConsoleLines(logging.Formatter):
    """A line for people: time, level where it matters, message, fields as ``name=value``."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f"  {name}={value}" for name, value in _fields(record).items())
        line = f"{time}  {level}{record.getMessage()}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return self._redactor.text(line)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, FIELDS, None)
    return dict(fields) if isinstance(fields, dict) else {}
