"""Run RabbitMQ as a private process, on free loopback ports."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from worker.testing.broker import Broker, BrokerError, ready
from worker.testing.child import child

# Debian's command in PATH is a wrapper for root and its own user: what is behind it comes first.
# The last ones are where upstream's archive and Homebrew put it when PATH does not say so.
SERVERS = ("/usr/lib/rabbitmq/bin", "PATH", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


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


@contextmanager
def signals_held(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals wait for the end of a block that would leave something half-done."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
