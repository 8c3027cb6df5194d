"""Run a command with a RabbitMQ, or lend one to the tests.

    python scripts/broker.py [--print] -- CMD ARG...     CMD sees TEST_AMQP_URL and AMQP_URL
    with running_broker() as broker: ...                 the same for Python

The broker is the first to be had of: the one `TEST_AMQP_URL` names, used as it is; a container,
where a Docker engine answers and has the image or can pull it; a private `rabbitmq-server` process
on free loopback ports; the same after installing Debian's package, as root. `BROKER=container` or
`BROKER=process` allows only that way of starting one (`TEST_AMQP_URL` still comes first).

A broker that is started belongs to a keeper (`broker_keeper.py`), a process that ends it when the
pipe from its user ends: however the user goes, by returning, by Ctrl-C or by SIGKILL, the broker
goes too. Exit codes: CMD's own (128 + n when signal n ended it), 126 or 127 when CMD cannot be
run, 69 when no broker could be had, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

STARTUP_SECONDS = 60
KEEPER = Path(__file__).with_name("broker_keeper.py")


class BrokerError(RuntimeError):
    """No broker could be had, or it did not do what was asked; the text is for people."""


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ that answers.

    `kind` is "given", "container" or "process"; `version` is the server's own word. `pid` is the
    server's process where the kind is "process": signal it as you like, the keeper cleans up.
    """

    url: str
    kind: str
    version: str
    pid: int | None = None
    control: tuple[str, ...] = ()
    keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    def ctl(self, *args: str) -> str:
        """Run `rabbitmqctl` with `args` against this broker, and return what it prints."""
        if not self.control:
            raise BrokerError("rabbitmqctl: the broker of TEST_AMQP_URL is not ours to control")
        done = subprocess.run([*self.control, *args], capture_output=True, text=True, timeout=60)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise BrokerError(f"rabbitmqctl {' '.join(args)} ended with {done.returncode}: {said}")
        return done.stdout

    def restart(self) -> Broker:
        """Kill the server as a crash would and start it again: same address, same durable data.

        It may be dead already. What is returned has the new `pid`.
        """
        if self.keeper is None or self.keeper.stdin is None:
            raise BrokerError("restart: the broker of TEST_AMQP_URL is not ours to kill")
        with suppress(BrokenPipeError):  # a keeper that is gone is told of below
            self.keeper.stdin.write(b"restart\n")
        return _reported(self.keeper)


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Lend a broker for the time of the block: the given one, or one that ends with the block."""
    if given := os.environ.get("TEST_AMQP_URL"):
        yield _given(given)
        return
    # In a session of its own: the Ctrl-C that ends its user must not end the keeper half-way.
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(KEEPER)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as keeper:
        try:
            yield _reported(keeper)
        finally:
            # The end of the pipe would do, unless a child forked by the user still holds it open.
            keeper.terminate()
            keeper.wait()


def _reported(keeper: subprocess.Popen[bytes]) -> Broker:
    line = keeper.stdout.readline() if keeper.stdout else b""
    report = json.loads(line or '{"error": "the keeper of the broker died"}')
    if "error" in report:
        raise BrokerError(report["error"])
    return replace(Broker(**report), control=tuple(report["control"]), keeper=keeper)


def _given(url: str) -> Broker:
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps"):
        raise BrokerError("TEST_AMQP_URL is not an amqp:// or amqps:// URL")
    try:
        return Broker(url, "given", version(greeting(url, 10)))
    except (OSError, ValueError) as error:
        where = parts.netloc.rpartition("@")[2]  # not the password
        raise BrokerError(f"TEST_AMQP_URL: no RabbitMQ answers at {where} ({error})") from None


def greeting(url: str, seconds: float) -> bytes:
    """Return what the broker answers to the AMQP 0-9-1 header: its Connection.Start method."""
    parts = urlsplit(url)
    tls = parts.scheme == "amqps"
    address = (parts.hostname or "localhost", parts.port or (5671 if tls else 5672))
    with ExitStack() as stack:
        link = stack.enter_context(socket.create_connection(address, seconds))
        if tls:
            context = ssl.create_default_context()
            link = stack.enter_context(context.wrap_socket(link, server_hostname=address[0]))
        link.sendall(b"AMQP\x00\x00\x09\x01")
        stream = stack.enter_context(link.makefile("rb"))
        # AMQP 0-9-1, 2.3.5: type 1 (a method), channel 0, size; 1.4.2.1: class 10, method 10.
        head = stream.read(7)
        start = head[:3] == b"\x01\x00\x00" and stream.read(int.from_bytes(head[3:], "big"))
        if not start or start[:4] != b"\x00\x0a\x00\x0a":
            raise ConnectionError("what is there does not speak AMQP 0-9-1")
        return start


def version(start: bytes) -> str:
    """Read the server's version from its greeting."""
    # An entry of the server properties: short name, `S` for long string, length in four bytes.
    _, found, rest = start.partition(b"\x07versionS")
    return rest[4 : 4 + int.from_bytes(rest[:4], "big")].decode() if found else "unknown"


def ready(url: str, name: str, ended: Callable[[], object]) -> str:
    """Wait until the node `name` answers at `url`, unless it `ended`; return its version."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while ended() is None:
        with suppress(OSError):
            start = greeting(url, 5)
            # It carries the node's name. Somebody else's broker, at a port lost to it, is not ours.
            if name.encode() in start:
                return version(start)
        if time.monotonic() > deadline:
            raise BrokerError(f"RabbitMQ did not answer within {STARTUP_SECONDS} s")
        time.sleep(0.05)
    raise BrokerError("RabbitMQ ended while it was starting")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        usage="broker.py [--print] -- CMD ARG...",
        description="Run CMD with a RabbitMQ: it finds TEST_AMQP_URL and AMQP_URL set.",
    )
    parser.add_argument("--print", dest="announce", action="store_true", help="say which one it is")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:cut])
    command = sys.argv[cut + 1 :]
    if not command:
        parser.error("what to run comes after --")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    began = time.monotonic()
    try:
        with running_broker() as broker:
            if options.announce:
                where = urlsplit(broker.url).netloc.rpartition("@")[2]
                took = time.monotonic() - began
                say(f"RabbitMQ {broker.version} ({broker.kind}) at {where} after {took:.1f} s")
            return _run(command, {"TEST_AMQP_URL": broker.url, "AMQP_URL": broker.url})
    except BrokerError as error:
        say(str(error))
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def say(line: str) -> None:
    """Tell the person at the terminal."""
    print(f"broker: {line}", file=sys.stderr, flush=True)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(command: list[str], variables: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env=os.environ | variables)
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126

    def forward(number: int, _frame: FrameType | None) -> None:
        # A Ctrl-C reaches every process of the terminal's foreground group, CMD included: sending
        # it on would make it two, and the second one means "now" to many programs.
        if number != signal.SIGINT or not _in_foreground():
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


if __name__ == "__main__":
    sys.exit(main())
