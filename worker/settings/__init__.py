"""Settings: read once, from the environment, ``.env`` and ``/run/secrets``.

Only ``worker.app`` and ``worker.cli`` import this. A wrong value stops the start with one line
that names the variable and never shows its value.
"""

from worker.settings.load import (
    OwnLimits,
    Settings,
    load_amqp_url,
    load_network_names,
    load_networks,
    load_settings,
    load_worker_settings,
)
from worker.settings.model import AmqpSettings, AuiSettings, NetworkSettings, WorkerSettings

__all__ = [
    "AmqpSettings",
    "AuiSettings",
    "NetworkSettings",
    "OwnLimits",
    "Settings",
    "WorkerSettings",
    "load_amqp_url",
    "load_network_names",
    "load_networks",
    "load_settings",
    "load_worker_settings",
]
