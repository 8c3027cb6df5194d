"""A program that lives no longer than the block that started it, nor than the process."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def child(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the time of the block, and never longer than this process lives."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
    try:
        yield started
    finally:
        # Nothing of it is kept after the last time, and before that a crash is what was asked for.
        started.kill()
        started.wait()


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, also after it execs."""
    if LIBC is not None:
        LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
