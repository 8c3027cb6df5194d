"""The parties of a run as processes: started, waited for, measured, and ended with us."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.testing.child import die_with_parent

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0
POLL = 0.02


class ProgramError(RuntimeError):
    """A program did not start, or ended before it was told to; the text ends with what it said."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What all of the machine has done so far, in CPU seconds."""

    busy: float
    at: float

    @classmethod
    def now(cls) -> "Machine":
        """Look at the machine."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, _, _, irq, softirq, _ = (int(ticks) for ticks in fields)
        return cls((user + nice + system + irq + softirq) / TICKS, time.monotonic())


class Program:
    """A process of ours.

    Args:
        name: for errors.
        command: the program and its arguments.
        env: what its environment has beside PATH, HOME and LANG.
        log: what it writes goes there.
        cwd: where it runs.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path
    ) -> None:
        self.name = name
        self._log = log
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - what it is for
                command,
                env=kept | dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,  # it may end with this pipe
                stdout=out,
                stderr=out,
                preexec_fn=die_with_parent,
            )
        self.pid = self._process.pid

    def said(self, pattern: str) -> str:
        """Wait until it has written a line that matches, and return what matched.

        Raises:
            ProgramError: it has not.
        """
        until = time.monotonic() + PATIENCE
        while True:
            ended = self._process.poll() is not None
            written = self._log.read_text(errors="replace")
            if found := re.search(pattern, written, re.MULTILINE):
                return found[0]
            if ended or time.monotonic() > until:
                raise ProgramError(f"{self.name} is not ready: {written[-2000:]}")
            time.sleep(POLL)

    def alive(self) -> None:
        """Make sure that it is there.

        Raises:
            ProgramError: it is not.
        """
        if self._process.poll() is not None:
            written = self._log.read_text(errors="replace")
            raise ProgramError(f"{self.name} ended: {written[-2000:]}")

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def python(*words: str) -> list[str]:
    """Return the command of a Python program, on this interpreter."""
    return [sys.executable, *words]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, of a process and its children; 0 if it is gone.

    Of this process its own alone: all the others are its children.
    """
    if pid == os.getpid():
        return time.process_time()
    try:
        # The name in parentheses may hold anything; what follows it does not.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0.0
    # proc(5): utime, stime, cutime and cstime are fields 14 to 17.
    own = sum(int(ticks) for ticks in fields[11:15]) / TICKS
    return own + sum(cpu_seconds(child) for child in children)


def rss_kb(pid: int, which: str = "VmRSS") -> int:
    """Return the resident memory of a process in kB, now or (``VmHWM``) at its highest."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{which}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0
