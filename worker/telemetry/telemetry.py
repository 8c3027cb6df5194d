"""What the worker tells of itself, in one object, and how that comes to its end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread

from worker.telemetry.metrics import Metrics
from worker.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

SHUTDOWN = 3.0
"""Seconds that what is left to tell has, when the worker stops."""

Exposition = Callable[[], tuple[bytes, str]]
"""Writes all metrics as Prometheus reads them, and names the content type of that."""


@dataclass(frozen=True)
class Telemetry:
    """Traces and metrics; by default, none.

    Attributes:
        tracing: begins traces.
        metrics: counts and measures.
        exposition: the metrics for Prometheus; None if they are not exported that way.
        closing: what tells the rest; each may take its time, and raise.
    """

    tracing: Tracing = field(default_factory=Tracing)
    metrics: Metrics = field(default_factory=Metrics)
    exposition: Exposition | None = None
    closing: Sequence[Callable[[], object]] = ()

    async def shutdown(self, within: float = SHUTDOWN) -> None:
        """Tell what is left to tell; to be called once, at the end. Never raises.

        Args:
            within: seconds after which it is given up. The threads that are at it then neither
                outlive the process nor hold it up.
        """
        done = [_in_thread(close) for close in self.closing]
        if done:
            told, rest = await asyncio.wait(done, timeout=within)
            if rest or not all(each.result() for each in told):
                log.warning("telemetry: the last of it could not be exported")


def _in_thread(close: Callable[[], object]) -> asyncio.Future[bool]:
    """Call it in a thread that does not keep the process alive, as an executor's would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def settle(told: bool) -> None:
        if not done.done():
            done.set_result(told)

    def run() -> None:
        told = False
        with suppress(Exception):
            close()
            told = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, told)

    Thread(target=run, name="telemetry", daemon=True).start()
    return done
