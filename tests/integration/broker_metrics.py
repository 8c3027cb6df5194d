"""What RabbitMQ tells Prometheus: its plugin, switched on for a while, and asked."""

import asyncio
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from broker import Broker

from worker.testing.broker_process import free_ports

PLUGIN = "rabbitmq_prometheus"
USUAL_PORT = 15692
_ASK = """
    inets:start(),
    {{ok, {{{{_, 200, _}}, _, Body}}}} =
        httpc:request(get, {{"http://127.0.0.1:{port}{path}", []}}, [], [{{body_format, binary}}]),
    base64:encode(Body).
"""


class BrokerMetrics:
    """The metrics of a broker, asked for from within it: its port may be open to nobody else."""

    def __init__(self, broker: Broker, port: int) -> None:
        self._broker = broker
        self._port = port

    async def scrape(self, path: str, **parameters: list[str]) -> str:
        """Return what the broker answers."""
        query = f"{path}?{urlencode(parameters, doseq=True)}"
        ask = _ASK.format(port=self._port, path=query)
        told = await asyncio.to_thread(self._broker.ctl, "eval", ask)
        return b64decode("".join(re.findall(r'"([^"]*)"', told))).decode()


@asynccontextmanager
async def metrics_of(broker: Broker) -> AsyncIterator[BrokerMetrics]:
    """Lend the metrics of a broker; the plugin is on for as long as that takes."""
    listed = await _plugins(broker, "list", "--enabled", "--minimal")
    if PLUGIN in listed.split():
        yield BrokerMetrics(broker, USUAL_PORT)
        return
    port = free_ports(1)[0]
    listener = f'[{{port, {port}}}, {{ip, "127.0.0.1"}}]'
    setting = f"application:set_env({PLUGIN}, tcp_config, {listener})."
    await asyncio.to_thread(broker.ctl, "eval", setting)
    await _plugins(broker, "enable", PLUGIN)
    try:
        yield BrokerMetrics(broker, port)
    finally:
        await _plugins(broker, "disable", PLUGIN)


async def _plugins(broker: Broker, *words: str) -> str:
    """Run ``rabbitmq-plugins``, which lies beside ``rabbitmqctl``."""
    *before, control = broker.control
    process = await asyncio.create_subprocess_exec(
        *(*before, control.removesuffix("rabbitmqctl") + "rabbitmq-plugins", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()
