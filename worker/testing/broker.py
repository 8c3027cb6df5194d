"""A RabbitMQ to test with: the first that is to be had.

    with running_broker() as broker:
        ...  # broker.url

In this order: the one `TEST_AMQP_URL` names, used as it is; a container, where a Docker engine
answers and has the image or can pull it; a private `rabbitmq-server` process on free loopback
ports, where the program is installed. `BROKER=container` or `BROKER=process` allows only that way
of starting one (`TEST_AMQP_URL` still comes first).

A broker that is started belongs to a keeper (`broker_keeper.py`), a process that ends it when the
pipe from its user ends: however the user goes, by returning, by Ctrl-C or by SIGKILL, the broker
goes too. Nothing but the standard library is needed up to here.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

STARTUP_SECONDS = 60
WAYS = ("container", "process")
NOTHING = (
    "no RabbitMQ to be had: set TEST_AMQP_URL to one that runs, or start Docker, or install the"
    " server (Debian and Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq)"
)


class BrokerError(RuntimeError):
    """No broker could be had, or it did not do what was asked; the text is for people."""


class NoServerError(BrokerError):
    """None was given, and nothing here could start one."""


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
        """Run `rabbitmqctl` with `args` against this broker, and return what it prints.

        Raises:
            BrokerError: it failed, or the broker is a given one.
        """
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

        Raises:
            BrokerError: it did not come back, or the broker is a given one.
        """
        if self.keeper is None or self.keeper.stdin is None:
            raise BrokerError("restart: the broker of TEST_AMQP_URL is not ours to kill")
        with suppress(BrokenPipeError):  # a keeper that is gone is told of below
            self.keeper.stdin.write(b"restart\n")
        return _reported(self.keeper)


@contextmanager
def running_broker(way: str | None = None) -> Iterator[Broker]:
    """Lend a broker for the time of the block: the given one, or one that ends with the block.

    Args:
        way: the only way of starting one, "container" or "process"; by default what the variable
            `BROKER` says, and where it says nothing, whichever works.

    Raises:
        NoServerError: none was given, and nothing here could start one; says what would help.
        BrokerError: the given one does not answer, or the one that was started did not start.
    """
    if given := os.environ.get("TEST_AMQP_URL"):
        yield _given(given)
        return
    way = os.environ.get("BROKER", "") if way is None else way
    if way not in ("", *WAYS):
        raise BrokerError(f"BROKER is {way!r}: it can be 'container' or 'process'")
    # In a session of its own: the Ctrl-C that ends its user must not end the keeper half-way.
    # -P: a package called "worker" in the working directory is another one.
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-m", "worker.testing.broker_keeper", way],
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
        kind = NoServerError if report.get("nothing") else BrokerError
        raise kind(report["error"])
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


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"broker: {line}\n")
    sys.stderr.flush()
