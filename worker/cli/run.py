"""``aui-worker run``: work until told to stop."""

import asyncio
import logging
import signal
from collections.abc import Callable

from worker.app import Worker
from worker.core.redact import Redactor
from worker.settings import Settings, load_settings
from worker.telemetry.logs import set_up_logs


def run() -> None:
    """Consume jobs and answer them, until SIGTERM or Ctrl-C.

    The first signal lets running answers finish (WORKER_GRACE); a second one gives everything
    back at once.
    """
    settings = load_settings()
    level = logging.getLevelNamesMapping()[settings.worker.log_level.upper()]
    set_up_logs(settings.worker.log_format, Redactor(settings.secrets), level)
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    worker = Worker(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes uvloop's event loop, where it is made for the platform."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop
