"""Sets up what the worker tells of itself, as the variables of OpenTelemetry's specification say.

Its libraries are imported only here, when it is known that they are wanted: they read variables
when they are imported, and take their time.
"""

import os
from collections.abc import Sequence
from importlib.metadata import version

from worker.core.errors import ConfigurationError
from worker.telemetry import conventions as c
from worker.telemetry.complaints import hear_complaints
from worker.telemetry.environment import wanted
from worker.telemetry.telemetry import Telemetry
from worker.telemetry.tracing import Parent, Tracing


def set_up_telemetry(
    worker_id: str, networks: Sequence[str] = (), parent: Parent = "parent"
) -> Telemetry:
    """Set up traces and metrics.

    Args:
        worker_id: which worker this is.
        networks: whose counts are told from the beginning on.
        parent: what the span of a job's producer is to the job's.

    Raises:
        ConfigurationError: a variable makes no sense, or what it asks for is not installed.
    """
    chosen = wanted(os.environ)
    hear_complaints()
    try:
        from opentelemetry import propagate

        fields = sorted(propagate.get_global_textmap().fields)
    except (ValueError, ImportError):
        raise ConfigurationError("OTEL_PROPAGATORS: one of them is not known") from None
    if not chosen.traces and not chosen.metrics:
        return Telemetry(Tracing(fields))
    own = {
        c.SERVICE_NAME: c.SCOPE,
        c.SERVICE_VERSION: version("aui-worker"),
        c.SERVICE_INSTANCE_ID: worker_id,
    }
    try:
        from worker.telemetry.providers import telemetry_of

        return telemetry_of(chosen, own, networks, parent, fields)
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(f"OTEL_*: {error}") from None
