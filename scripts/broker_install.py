"""Install Debian's RabbitMQ where that is the only way to one."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from worker.testing.broker import NOTHING, BrokerError, say
from worker.testing.broker_process import server, signals_held

POLICY = Path("/usr/sbin/policy-rc.d")


def install() -> None:
    """Install Debian's package where we may, its services switched off for now and after a boot."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        raise BrokerError(NOTHING)
    say("no RabbitMQ is here: installing rabbitmq-server with apt-get, its service switched off")
    said = ""
    # A Ctrl-C, too, waits: what it would leave is a package half installed.
    with signals_held(signal.SIGTERM, signal.SIGINT), no_services_started():
        for step in (
            [apt, "update"],
            [apt, "install", "-y", "--no-install-recommends", "rabbitmq-server"],
            ["update-rc.d", "rabbitmq-server", "disable"],
        ):
            done = subprocess.run(
                step,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said += done.stdout
    if server() is None:
        raise BrokerError("\n".join([NOTHING, "apt-get said:", *said.splitlines()[-15:]]))


@contextmanager
def no_services_started() -> Iterator[None]:
    """Answer 101 (forbidden) to the package scripts that ask policy-rc.d whether to start one."""
    kept = POLICY.with_name("policy-rc.d.kept")
    with ExitStack() as stack:
        # Two at a time would take each other's policy for the one to keep.
        directory = os.open(POLICY.parent, os.O_RDONLY)
        stack.callback(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        if os.path.lexists(POLICY):
            POLICY.rename(kept)
            stack.callback(kept.rename, POLICY)
        else:
            stack.callback(POLICY.unlink)
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
        yield
