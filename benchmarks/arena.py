"""The private broker, the load server and the lines to each contender, for the length of a run."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from broker import Broker, BrokerError, running_broker
from pamqp import commands
from pamqp.common import FieldTable

from benchmarks.contenders import QUEUE, ROOT, Contender, Setting
from benchmarks.driver import Driver, Way
from benchmarks.line import connect
from benchmarks.program import Program, python

BASE = "/api/ia-controller"


@dataclass
class Arena:
    """Where contenders are measured.

    Attributes:
        broker: which RabbitMQ it is, in words.
        drivers: the lines, by contender.
    """

    broker: str
    drivers: dict[str, Driver]
    _urls: dict[str, str]
    _server: str
    _directory: Path

    @asynccontextmanager
    async def running(
        self, contender: Contender, at_once: int, **more: str
    ) -> AsyncIterator[tuple[Driver, Program]]:
        """Run a contender for the length of the context."""
        setting = Setting(
            url=self._urls[contender.name],
            base=self._server + BASE,
            at_once=at_once,
            directory=self._directory,
            more=more,
        )
        program = contender.start(setting)
        sys.stderr.write(f"{contender.name}: pid {program.pid}\n")
        try:
            yield self.drivers[contender.name], program
        finally:
            program.stop()


@contextmanager
def private_broker() -> Iterator[Broker]:
    """Lend a RabbitMQ of one's own, never the one of ``TEST_AMQP_URL``.

    Raises:
        BrokerError: there is none, and none can be installed; the text says what to do.
    """
    kept = os.environ.pop("TEST_AMQP_URL", None)
    try:
        with running_broker() as broker:
            yield broker
    finally:
        if kept is not None:
            os.environ["TEST_AMQP_URL"] = kept


@asynccontextmanager
async def arena(
    broker: Broker, contenders: Sequence[Contender], tasks: int, directory: Path
) -> AsyncIterator[Arena]:
    """Set everything up but the contenders.

    Args:
        broker: to use, with a virtual host for each contender.
        contenders: who will be measured.
        tasks: how many task exchanges a peer needs.
        directory: for logs.
    """
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
    command = python("-m", "benchmarks.load_server")
    server = Program("load server", command, env, directory / "server.log", ROOT)
    async with AsyncExitStack() as stack:
        stack.callback(server.stop)
        address = f"http://127.0.0.1:{server.said('^[0-9]+$')}"
        known = {"server": server.pid, "driver": os.getpid()}
        if broker.pid is not None:
            known = {"broker": broker.pid, **known}
        urls, drivers = {}, {}
        for place, each in enumerate(contenders):
            # The first may have the broker's own: rabbitmqctl takes its time.
            url = _own_vhost(broker, each.vhost) if place else broker.url
            urls[each.name] = url
            way = await _peer_way(url, tasks) if not each.ours else await _our_way(url)
            drivers[each.name] = driver = Driver(way, address, known)
            await driver.open()
            stack.push_async_callback(driver.close)
        name = f"RabbitMQ {broker.version} ({broker.kind})"
        yield Arena(name, drivers, urls, address, directory)


def _own_vhost(broker: Broker, name: str) -> str:
    parts = urlsplit(broker.url)
    try:
        broker.ctl("-q", "add_vhost", name)
        broker.ctl("-q", "set_permissions", "-p", name, parts.username or "guest", ".*", ".*", ".*")
    except BrokerError as error:
        raise BrokerError(f"the benchmark needs a broker of its own: {error}") from error
    return urlunsplit(parts._replace(path="/" + quote(name, safe="")))


async def _peer_way(url: str, tasks: int) -> Way:
    line = await connect(url, lambda key, body: None)
    quorum: FieldTable = {"x-queue-type": "quorum"}
    await line.ask(commands.Queue.Declare(queue=QUEUE, durable=True, arguments=quorum))
    exchanges = [f"aui.task.bench-{place:05d}" for place in range(tasks)]
    for exchange in exchanges:
        await line.ask(commands.Exchange.Declare(exchange=exchange, exchange_type="topic"))
    await line.close()
    return Way(url, QUEUE, exchanges, "#", tasks)


async def _our_way(url: str) -> Way:
    line = await connect(url, lambda key, body: None)
    hub = commands.Exchange.Declare(exchange="aui.replies", exchange_type="topic", durable=True)
    await line.ask(hub)
    await line.close()
    return Way(url, None, ["aui.replies"], "default.bench.*.*", None)
