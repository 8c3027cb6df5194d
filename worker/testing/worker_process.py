"""A worker as a process of its own, joined to a broker and an AUI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from worker.testing.broker_process import free_ports
from worker.testing.child import child
from worker.testing.requests import request
from worker.testing.sandbox import API_KEY

READY_WITHIN = 60.0
"""Seconds; it takes two on a quiet machine."""
LOG_LINES = 200
QUICK = {
    "WORKER_ATTEMPTS": "3",
    "WORKER_BROWNOUT_AFTER": "1000",  # one failing scenario after another is no outage
    "WORKER_CONNECT_TIMEOUT": "5",
    "WORKER_FIRST_TEXT_TIMEOUT": "5",
    "WORKER_IDLE_TIMEOUT": "5",
    "WORKER_PROBE_INTERVAL": "0.5",
    "WORKER_GRACE": "5",
}
"""What a worker under test does not wait for: as in production, but sooner. In seconds."""
_INHERITED = ("PATH", "HOME", "LANG", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class WorkerError(RuntimeError):
    """A worker did not become ready, or did not stop; the text holds its log."""


class AuiWorker:
    """A running worker.

    Attributes:
        url: where its health pages are, ``http://127.0.0.1:PORT``.
        settings: the variables that it was started with, secrets included.
        log: the file that it writes its log to.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, settings: Mapping[str, str], log: Path
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.settings = settings
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id: signal it as you like."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def not_ready(self) -> list[str]:
        """Return why it is not ready to work, a line each; nothing if it is."""
        try:
            _, told = request(f"{self.url}/readyz")
        except (OSError, ValueError):
            return ["it does not answer yet" if self.running else "it has ended"]
        reasons: list[str] = told["reasons"]
        return reasons

    def wait_until_ready(self, timeout: float = READY_WITHIN) -> None:
        """Wait until it takes jobs.

        Args:
            timeout: in seconds.

        Raises:
            WorkerError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout
        while reasons := self.not_ready():
            if not self.running:
                raise self._error(f"the worker ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                why = "; ".join(reasons)
                raise self._error(f"the worker was not ready within {timeout:g} s: {why}")
            time.sleep(0.05)

    def stop(self, timeout: float = READY_WITHIN) -> int:
        """Have it finish what it does and end, as SIGTERM would; return its exit code.

        Args:
            timeout: in seconds.

        Raises:
            WorkerError: it did not end in time.
        """
        with suppress(ProcessLookupError):
            self._process.terminate()
        return self._ended(timeout)

    def kill(self) -> None:
        """End it as a crash would, in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, for example SIGSTOP."""
        self._process.send_signal(number)

    def said(self, since: int = 0) -> str:
        """Return the end of its log, 200 lines at most.

        Args:
            since: leave out what was written before this many bytes.
        """
        with suppress(FileNotFoundError):
            written = self.log.read_bytes()[since:].decode(errors="replace")
            return "\n".join(written.splitlines()[-LOG_LINES:])
        return ""

    def _ended(self, timeout: float) -> int:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"the worker did not stop within {timeout:g} s") from None

    def _error(self, what: str) -> WorkerError:
        return WorkerError(f"{what}; its log:\n{self.said() or '(empty)'}")


def worker_environment(
    amqp_url: str, base_url: str, settings: Mapping[str, str] | None = None, api_key: str = API_KEY
) -> dict[str, str]:
    """Return the whole environment of a worker under test.

    Of the environment around it only what a program needs to run is in it: no key, no setting.

    Args:
        amqp_url: the broker.
        base_url: of AUI, or of the sandbox.
        settings: more variables, or others; see the README.
        api_key: of the network ``default``.
    """
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {
        "AMQP_URL": amqp_url,
        "AUI_BASE_URL": base_url,
        "AUI_NETWORK_API_KEY": api_key,
        "WORKER_HTTP_HOST": "127.0.0.1",
        "WORKER_ID": "testing",
    }
    return kept | own | QUICK | dict(settings or {})


@contextmanager
def running_worker(
    amqp_url: str,
    base_url: str,
    settings: Mapping[str, str] | None = None,
    api_key: str = API_KEY,
) -> Iterator[AuiWorker]:
    """Run a worker and enter once it takes jobs; in the end it stops as on SIGTERM.

    It runs in a directory of its own: a ``.env`` in yours is not read, and a package called
    "worker" there is not taken for it.

    Args:
        amqp_url: the broker.
        base_url: of AUI, or of the sandbox.
        settings: more variables, or others than it has by default; see the README.
        api_key: of the network ``default``.

    Raises:
        WorkerError: it did not become ready, or did not stop; with its log.
    """
    env = worker_environment(amqp_url, base_url, settings, api_key)
    port = int(env.setdefault("WORKER_HTTP_PORT", str(free_ports(1)[0])))
    with TemporaryDirectory(prefix="aui-worker-") as directory:
        log = Path(directory, "worker.log")
        with child([sys.executable, "-m", "worker", "run"], env, log) as process:
            worker = AuiWorker(process, port, _set(env), log)
            worker.wait_until_ready()
            yield worker
            if worker.running:
                worker.send_signal(signal.SIGCONT)  # a stopped one could not stop
                worker.stop()


def _set(env: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name not in _INHERITED}
