"""Log lines are for people or for machines, and hold no secret wherever it was."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from worker.core.redact import Redactor
from worker.telemetry.logs import FIELDS, ConsoleLines, JsonLines, LogFormat, set_up_logs

KEY = 'API_KEY_a&b"c/d'
QUOTED = quote(KEY, safe="")
STYLES: list[LogFormat] = ["json", "console"]
log = logging.getLogger("worker.tests.telemetry")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Give the logging of the process back as it was."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("httpx", "httpcore", "websockets"))]
    loggers += [logging.getLogger(name) for name in ("aio_pika", "aiormq")]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    yield
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers[:] = handlers


def lines(captured: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was written to standard error."""
    out, err = captured.readouterr()
    assert out == ""
    return str(err).splitlines()


def assert_no_key(text: str) -> None:
    """Fail if the key stands in a text, in whichever spelling."""
    for spelling in (KEY, QUOTED, json.dumps(KEY)[1:-1], json.dumps(QUOTED)[1:-1], repr(KEY)[1:-1]):
        assert spelling not in text
    assert "[redacted]" in text


def test_a_json_line_is_one_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", Redactor([]))
    log.warning("hello %s\nthere", "you", extra={FIELDS: {"task": "t1", "odd": {1}}})
    (line,) = lines(capsys)
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": "worker.tests.telemetry",
        "message": "hello you\nthere",
        "task": "t1",
        "odd": "{1}",
    }


def test_a_console_line_tells_the_level_only_where_it_matters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs("console", Redactor([]))
    log.info("job ended", extra={FIELDS: {"task": "t1", "attempts": 2}})
    log.error("oops")
    calm, loud = lines(capsys)
    assert calm[8:] == "  job ended  task=t1  attempts=2"
    assert loud[8:] == "  error: oops"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("secret", [KEY, QUOTED], ids=["raw", "quoted"])
def test_a_secret_is_taken_out_of_message_arguments_and_fields(
    style: LogFormat, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(style, Redactor([KEY]))
    log.info(f"in the message: {secret}")  # noqa: G004 - the message is the subject
    log.info("in an argument: %s", secret)
    log.info("in a field", extra={FIELDS: {"url": f"ws://h/?key={secret}"}})
    log.info("in a nested field", extra={FIELDS: {"deep": {"key": [secret]}}})
    written = lines(capsys)
    assert len(written) == 4
    for line in written:
        assert_no_key(line)


@pytest.mark.parametrize("style", STYLES)
def test_a_secret_is_taken_out_of_a_traceback_with_all_its_causes(
    style: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(style, Redactor([KEY]))
    try:
        fail()
    except ValueError:
        log.exception("it broke")
    text = "\n".join(lines(capsys))
    assert_no_key(text)
    assert "Traceback" in text
    assert text.count("[redacted]") >= 2


@pytest.mark.parametrize("style", STYLES)
def test_a_log_call_that_is_wrong_does_not_write_its_arguments_as_they_are(
    style: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(style, Redactor([KEY]))
    log.info("%d jobs", KEY)
    log.info("a field that cannot be shown", extra={FIELDS: {"key": Unprintable()}})
    text = "\n".join(lines(capsys))
    assert KEY not in text
    assert text.count("worker.tests.telemetry") == 2


def fail() -> None:
    """Fail for a reason."""
    raise ValueError(KEY) from OSError(f"no route to ?key={QUOTED}")


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_that_is_gone_breaks_nobody(style: LogFormat) -> None:
    set_up_logs(style, Redactor([]))
    gone = io.StringIO()
    (handler,) = logging.getLogger().handlers
    handler.setStream(gone)  # type: ignore[attr-defined]
    gone.close()
    log.info("nobody hears this")
    assert gone.closed


class Unprintable:
    """A field that breaks whoever shows it."""

    def __str__(self) -> str:
        raise ZeroDivisionError(KEY)


@pytest.mark.parametrize("formatter", [JsonLines, ConsoleLines])
def test_the_finished_line_is_what_is_redacted(
    formatter: type[JsonLines] | type[ConsoleLines],
) -> None:
    record = logging.LogRecord("n", logging.INFO, "f", 1, "half %s%s", ("API_", "KEY_1"), None)
    assert "[redacted]" in formatter(Redactor(["API_KEY_1"])).format(record)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_libraries_that_show_urls_are_silent_at_any_level(
    level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("console", Redactor([]), level)
    for name in ("httpx", "httpcore.connection", "websockets.client", "aio_pika", "aiormq.x"):
        logging.getLogger(name).error("GET /?key=%s", KEY)
    log.log(level, "ours")
    assert [line.split()[-1] for line in lines(capsys)] == ["ours"]


def test_a_level_hides_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("console", Redactor([]), logging.WARNING)
    log.info("hidden")
    log.warning("shown")
    assert [line.split()[-1] for line in lines(capsys)] == ["shown"]


def test_setting_up_twice_does_not_write_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        set_up_logs("console", Redactor([]))
    log.info("once")
    assert len(lines(capsys)) == 1
    assert logging.getLogger().handlers[0].stream is sys.stderr  # type: ignore[attr-defined]


@pytest.mark.parametrize("fields", ["text", None, 7])
def test_fields_that_are_none_are_left_out(
    fields: object, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("json", Redactor([]))
    log.info("hello", extra={FIELDS: fields})
    assert set(json.loads(lines(capsys)[0])) == {"time", "level", "logger", "message"}
