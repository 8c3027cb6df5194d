"""The workers that a test session has lent: one is kept for the next test that wants the same."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from worker.testing.sandbox import AuiSandbox
from worker.testing.worker_process import AuiWorker, running_worker


class Fleet:
    """Starts workers and stops them.

    Args:
        amqp_url: their broker.
        sandbox: their AUI.
    """

    def __init__(self, amqp_url: str, sandbox: AuiSandbox) -> None:
        self._amqp_url = amqp_url
        self._sandbox = sandbox
        self._kept = ExitStack()
        self._worker: AuiWorker | None = None
        self._wanted: Mapping[str, str] = {}
        self._marks: dict[AuiWorker, int] = {}
        self._number = 0

    def lend(self, settings: Mapping[str, str]) -> AuiWorker:
        """Return a ready worker with these settings: the last one, if that is still as it was.

        Raises:
            WorkerError: it did not become ready.
        """
        if self._worker is None or not self._worker.running or self._wanted != settings:
            self.close()
            self._wanted = dict(settings)
            self._worker = self.start(settings, self._kept)
        self._worker.wait_until_ready()
        return self._worker

    def start(self, settings: Mapping[str, str], stack: ExitStack) -> AuiWorker:
        """Start one more worker, under an id of its own, to be stopped when the stack ends.

        Raises:
            WorkerError: it did not become ready.
        """
        self._number += 1
        named = {"WORKER_ID": f"testing-{self._number}"} | dict(settings)
        lent = running_worker(self._amqp_url, self._sandbox.base_url, named, self._sandbox.api_key)
        worker = stack.enter_context(lent)
        self._marks[worker] = 0
        return worker

    def mark(self) -> None:
        """Let :meth:`said` tell of what comes from now on."""
        for worker in self._marks:
            self._marks[worker] = worker.log.stat().st_size if worker.log.exists() else 0

    def said(self) -> dict[str, str]:
        """Return what each worker logged since the mark, by its id."""
        told = {one.settings["WORKER_ID"]: one.said(mark) for one, mark in self._marks.items()}
        return {name: log for name, log in told.items() if log}

    def close(self) -> None:
        """Stop the worker that is kept."""
        self._worker = None
        self._kept.close()
