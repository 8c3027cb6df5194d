"""What OpenTelemetry's libraries log, in a few lines and without secrets.

While a collector is down they complain every few seconds, and what they say may hold what is in
``OTEL_EXPORTER_OTLP_HEADERS``.
"""

import logging
from contextlib import suppress

log = logging.getLogger(__name__)

AGAIN_AFTER = 300.0
"""Seconds after which the same complaint is told again."""

_WORDS = "opentelemetry.exporter"
"""What these log as text is theirs or the collector's; elsewhere it may be a variable's value."""


class Complaints(logging.Handler):
    """Passes a library's log lines on: each once in a while, with types and numbers at most."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one on."""
        what = str(record.msg)
        told = self._told.get(what)
        if told is not None and record.created < told + AGAIN_AFTER:
            return
        self._told[what] = record.created
        args = record.args if isinstance(record.args, tuple) else ()
        with suppress(TypeError, ValueError):  # else it is told without what it is about
            what %= tuple(_shown(arg, record.name) for arg in args)
        if record.exc_info and record.exc_info[0] is not None:
            what = f"{what} {record.exc_info[0].__name__}"
        log.warning("telemetry: %s", what)


def hear_complaints() -> None:
    """Have what OpenTelemetry and its HTTP client log go through :class:`Complaints`."""
    libraries = logging.getLogger("opentelemetry")
    libraries.handlers[:] = [Complaints()]
    libraries.setLevel(logging.WARNING)
    libraries.propagate = False
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def _shown(arg: object, logger: str) -> object:
    if isinstance(arg, int | float) or arg is None:
        return arg
    if isinstance(arg, str) and logger.startswith(_WORDS):
        return arg
    return type(arg).__name__
