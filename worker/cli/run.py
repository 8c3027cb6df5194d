"""``aui-worker run``: work until told to stop."""

import asyncio
import logging
import signal
from collections.abc import Callable

from worker.app import Worker
from worker.app.garbage import look_less_often
from worker.core.redact import Redactor
from worker.http import Health, application, serving
from worker.settings import Settings, load_settings
from worker.settings.otel import adopt_otel_variables
from worker.telemetry.logs import set_up_logs
from worker.telemetry.setup import set_up_telemetry
from worker.telemetry.telemetry import Telemetry


def run() -> None:
    """Consume jobs and answer them, until SIGTERM or Ctrl-C.

    The first signal lets running answers finish (WORKER_GRACE); a second one gives everything
    back at once.
    """
    settings = load_settings()
    adopt_otel_variables()
    level = logging.getLevelNamesMapping()[settings.worker.log_level.upper()]
    set_up_logs(settings.worker.log_format, Redactor(settings.secrets), level)
    own = settings.worker
    telemetry = set_up_telemetry(own.id, list(settings.networks), own.trace_parent)
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_work(settings, telemetry))


async def _work(settings: Settings, telemetry: Telemetry) -> None:
    worker = Worker(settings, telemetry)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    health = Health(worker.started.is_set, worker.not_ready)
    own = settings.worker
    # It answers before there is a broker to be had, and until the last job is finished.
    try:
        async with serving(application(health, telemetry.exposition), own.http_host, own.http_port):
            look_less_often()
            await worker.run()
    finally:
        await telemetry.shutdown()


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes uvloop's event loop, where it is made for the platform."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop
