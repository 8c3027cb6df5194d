"""Run a command with a RabbitMQ, or lend one to the tests.

    python scripts/broker.py [--print] -- CMD ARG...     CMD sees TEST_AMQP_URL and AMQP_URL
    with running_broker() as broker: ...                 the same for Python

The broker is the one `worker.testing` finds; where it finds none, Debian's package is installed, as
root, and a private process of it is lent.

Exit codes: CMD's own (128 + n when signal n ended it), 126 or 127 when CMD cannot be run, 69 when
no broker could be had, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from urllib.parse import urlsplit

from broker_install import install

from worker.testing import broker as testing
from worker.testing.broker import Broker, BrokerError, NoServerError, say

__all__ = ["Broker", "BrokerError", "running_broker"]


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Lend a broker for the time of the block, one that is installed for it if need be.

    Raises:
        BrokerError: none could be had.
    """
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(testing.running_broker())
        except NoServerError:
            install()
            broker = stack.enter_context(testing.running_broker("process"))
        yield broker


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
