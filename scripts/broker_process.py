"""Run RabbitMQ as a private process, installing Debian's package first if that is what it takes."""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from broker import Broker, BrokerError, ready, say

# Debian's command in PATH is a wrapper for root and its own user: what is behind it comes first.
# The last ones are where upstream's archive and Homebrew put it when PATH does not say so.
SERVERS = ("/usr/lib/rabbitmq/bin", "PATH", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")
LIBC = ctypes.CDLL(None)
NOTHING = (
    "no RabbitMQ to be had: set TEST_AMQP_URL to one that runs, or start Docker, or install the"
    " server (Debian and Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq)"
)


def process(program: Path) -> Generator[Broker]:
    """Start the server; each further broker is the same server, killed and started on its data."""
    with TemporaryDirectory(prefix="aui-broker-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        log = home / "broker.log"
        name = f"aui-broker-{secrets.token_hex(4)}"
        amqp, distribution, mapper = free_ports(3)
        environment = settings(home, name, distribution, mapper)
        (home / "enabled_plugins").write_text("[].\n")
        (home / "advanced.config").write_text("[].\n")
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{amqp}\n"
            "disk_free_limit.absolute = 50MB\n"
            "vm_memory_high_watermark.relative = 0.6\n"
        )
        url = f"amqp://guest:guest@127.0.0.1:{amqp}/"
        variables = [f"{key}={value}" for key, value in environment.items()]
        control = ("env", "-i", *variables, str(program.with_name("rabbitmqctl")))
        # In the foreground and first: the server would start one that outlives it, as a daemon.
        with child([port_mapper(environment["PATH"]), "-port", str(mapper)], environment, log):
            while True:
                with child([str(program)], environment, log) as node:
                    try:
                        found = ready(url, name, node.poll)
                    except BrokerError as error:
                        tail = log.read_text(errors="replace").splitlines()[-30:]
                        raise BrokerError("\n".join([f"{error}; its log:", *tail])) from None
                    yield Broker(url, "process", found, node.pid, control)


def settings(home: Path, name: str, distribution: int, mapper: int) -> dict[str, str]:
    """Give the server and rabbitmqctl a world of their own: names, files and ports, on loopback.

    Of the user's environment only PATH is in it: not the secrets, not the RABBITMQ_ settings.
    """
    loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
    return {
        "PATH": os.pathsep.join(filter(None, [os.environ.get("PATH"), SYSTEM_PATH])),
        "HOME": str(home),  # of the Erlang cookie
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
        "RABBITMQ_CONFIG_FILES": f"{home}/conf.d",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/advanced.config",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
        "RABBITMQ_MNESIA_BASE": f"{home}/data",
        "RABBITMQ_LOG_BASE": f"{home}/log",
        "RABBITMQ_LOGS": "-",
        # Booting is tens of thousands of file look-ups, each handed to an I/O thread and back. With
        # threads that spin a moment before they sleep it takes half the time; idle costs nothing.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +SDio 2 +sbwt very_short"
        f" +sbwtdio very_short {loopback}",
        "RABBITMQ_CTL_ERL_ARGS": loopback,
        # Any free port: the default is eleven for all the rabbitmqctls of a machine.
        "RABBITMQ_CTL_DIST_PORT_MIN": "0",
        "RABBITMQ_CTL_DIST_PORT_MAX": "0",
        # The start script then becomes the server instead of waiting for it, pid and all.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


@contextmanager
def child(
    command: list[str], environment: dict[str, str], log: Path
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
    if sys.platform == "linux":
        LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def server() -> Path | None:
    """Find the program that is the server, rather than a wrapper of it."""
    for place in SERVERS:
        found = shutil.which("rabbitmq-server", path=None if place == "PATH" else place)
        if found:
            return Path(found)
    return None


def port_mapper(path: str) -> str:
    """Find Erlang's `epmd`: in PATH, or beside the real `erl` where PATH only links to that."""
    erl = os.path.realpath(shutil.which("erl", path=path) or "erl")
    found = shutil.which("epmd", path=os.pathsep.join([path, os.path.dirname(erl)]))
    if not found:
        raise BrokerError("rabbitmq-server is here, but Erlang's epmd is not: is Erlang in PATH?")
    return found


def free_ports(count: int) -> list[int]:
    """Pick free loopback ports, below those the system hands out to outgoing connections.

    Where to look first goes by the process id: brokers that start at the same moment, none of
    them listening yet, pick different ones.
    """
    runs = 10_000 // count
    for step in range(runs):
        first = 20_000 + count * ((os.getpid() + 101 * step) % runs)
        ports = list(range(first, first + count))
        with ExitStack() as stack, suppress(OSError):
            for port in ports:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return ports
    raise BrokerError("no free ports between 20000 and 30000")


def install() -> Path:
    """Install Debian's package where we may, its services switched off for now and after a boot."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        raise BrokerError(NOTHING)
    say("no RabbitMQ is here: installing rabbitmq-server with apt-get, its service switched off")
    said = ""
    with sigterm_held(), no_services_started():
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
    found = server()
    if not found:
        raise BrokerError("\n".join([NOTHING, "apt-get said:", *said.splitlines()[-15:]]))
    return found


@contextmanager
def sigterm_held() -> Iterator[None]:
    """Let a SIGTERM wait for the end of a block that would leave something behind half-way."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


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
