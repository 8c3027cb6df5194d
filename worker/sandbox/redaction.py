"""The sandbox's log, which never shows a key: uvicorn and websockets print query strings."""

import logging
import re
import traceback

_KEY = re.compile(
    r"(network(?:_|%5[Ff])api(?:_|%5[Ff])key=|x-network-api-key['\"]?: ['\"]?)[^&\s'\"#]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with `***` for each key in a query string or a header, percent-encoded or not."""
    return _KEY.sub(r"\1***", text)


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            # A formatter prints exc_text when there is one and never looks at exc_info.
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return True


def sandbox_log() -> logging.Logger:
    """The logger `worker.sandbox`; whatever is logged through it is redacted first."""
    log = logging.getLogger("worker.sandbox")
    if not any(isinstance(one, _Redaction) for one in log.filters):
        log.addFilter(_Redaction())
    return log
