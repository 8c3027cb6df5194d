"""For the tests of those who use the worker: a pytest plugin, and containers of its image.

    pip install 'aui-worker[testing]'

The plugin is there once that is installed; its fixtures are `rabbitmq`, `aui_sandbox`,
`aui_worker`, `aui_worker_settings`, `aui_workers`, `aui`, `aui_blocking`, `aui_replies` and
`assert_one_terminal_reply`. What is behind them is here, for other test runners.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.testing.broker import Broker, BrokerError, running_broker
    from worker.testing.containers import AuiSandboxContainer, AuiWorkerContainer
    from worker.testing.recorder import ReplyRecorder, recorded_replies
    from worker.testing.sandbox import AuiSandbox, Said, SandboxTask, directive, running_sandbox
    from worker.testing.worker_process import AuiWorker, WorkerError, running_worker

__all__ = [
    "AuiSandbox",
    "AuiSandboxContainer",
    "AuiWorker",
    "AuiWorkerContainer",
    "Broker",
    "BrokerError",
    "ReplyRecorder",
    "Said",
    "SandboxTask",
    "WorkerError",
    "directive",
    "recorded_replies",
    "running_broker",
    "running_sandbox",
    "running_worker",
]

_HOMES = {
    "broker": ("Broker", "BrokerError", "running_broker"),
    "containers": ("AuiSandboxContainer", "AuiWorkerContainer"),
    "recorder": ("ReplyRecorder", "recorded_replies"),
    "sandbox": ("AuiSandbox", "Said", "SandboxTask", "directive", "running_sandbox"),
    "worker_process": ("AuiWorker", "WorkerError", "running_worker"),
}


def __getattr__(name: str) -> object:
    # When it is asked for, and not before: containers need Docker's libraries, a broker nothing.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
