"""Who is measured, and how each is started: our worker, of any checkout, and its peers."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from benchmarks.program import Program, ProgramError

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "benchmarks" / "peers"
KEY = "API_KEY_bench"
QUEUE = "bench.jobs"
COMMANDS: Mapping[str, Sequence[str]] = {
    "naive": [sys.executable, str(PEERS / "naive.py")],
    "node": ["node", str(PEERS / "node" / "worker.js")],
    "go": [str(PEERS / "go" / "worker")],
}
OURS = "ours"
_RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
TELEMETRY = {
    "": {"OTEL_TRACES_EXPORTER": "otlp", **_RATIO},
    "all": {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "parentbased_always_on"},
    "off": {"OTEL_SDK_DISABLED": "true"},
}
"""What ours tells of itself, besides its log, by the word behind its name."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those measured.

    Attributes:
        name: "naive", "node", "go", or "ours", which traces one job in a hundred; "ours+all" traces
            every one, "ours+off" none, and measures nothing; "ours@DIRECTORY" is that checkout's.
        profile: a file for what cProfile has to say of our worker's life.
    """

    name: str
    profile: str = ""

    @property
    def ours(self) -> bool:
        """It is our worker, of whatever checkout."""
        name, _, telemetry = self.name.partition("@")[0].partition("+")
        return name == OURS and telemetry in TELEMETRY

    @property
    def vhost(self) -> str:
        """The virtual host of its own."""
        return "bench-" + "".join(each if each.isalnum() else "-" for each in self.name)

    def check(self) -> None:
        """Make sure that it can be started.

        Raises:
            ProgramError: it cannot; the text says what is to be done.
        """
        if not self.ours and self.name not in COMMANDS:
            raise ProgramError(f"{self.name}: there is no such peer, only {', '.join(COMMANDS)}")
        if self.ours and not (self._checkout / "worker" / "__main__.py").exists():
            raise ProgramError(f"{self.name}: {self._checkout} is no checkout of the worker")

    def start(self, setting: "Setting") -> Program:
        """Start it, and wait until it takes jobs."""
        if self.ours:
            return self._start_ours(setting)
        env = {
            "AMQP_URL": setting.url,
            "BENCH_QUEUE": QUEUE,
            "BENCH_PREFETCH": str(setting.at_once),
            "AUI_WS_URL": f"{setting.base.replace('http', 'ws')}/api/v1/external/session"
            f"?network_api_key={KEY}",
            "GOMAXPROCS": "1",  # one core, as any Python or Node.js process has
        }
        program = Program(self.name, COMMANDS[self.name], env, setting.log(self.vhost), ROOT)
        program.said(r"^ready")
        return program

    @property
    def _checkout(self) -> Path:
        return Path(self.name.partition("@")[2] or ROOT).resolve()

    def _start_ours(self, setting: "Setting") -> Program:
        profiler = ["-m", "cProfile", "-o", os.path.abspath(self.profile)] if self.profile else []
        env = {
            "PYTHONPATH": str(self._checkout),
            "AMQP_URL": setting.url,
            "AUI_NETWORK_API_KEY": KEY,
            "AUI_BASE_URL": setting.base,
            "WORKER_ID": "bench",
            "WORKER_HTTP_PORT": "0",
            "WORKER_LOG_FORMAT": "json",
            "WORKER_CONCURRENCY": str(setting.at_once),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": urljoin(setting.base, "/v1/traces"),
            **TELEMETRY[self.name.partition("@")[0].partition("+")[2]],
            **setting.more,
        }
        command = [sys.executable, *profiler, "-m", "worker", "run"]
        program = Program(self.name, command, env, setting.log(self.vhost), setting.directory)
        program.said(r'"ready')
        return program


@dataclass(frozen=True, slots=True)
class Setting:
    """What a contender is started with.

    Attributes:
        url: of the broker.
        base: of the load server, as AUI's base URL.
        at_once: how many conversations it may hold.
        directory: for its logs; ours works there, out of reach of a ``.env``.
        more: further settings of our worker.
    """

    url: str
    base: str
    at_once: int
    directory: Path
    more: Mapping[str, str] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        """Return where a program of that name writes."""
        return self.directory / f"{name}.log"
