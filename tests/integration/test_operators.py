"""What alerts, dashboard and handbook name is there, in a real worker and a real broker."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest
from broker import Broker
from broker_metrics import metrics_of
from harness import CANARY, Bench, bench
from programs import running, said, serving
from prometheus_client.parser import text_string_to_metric_families as families
from prometheus_client.samples import Sample

from tests.unit.deploy.promql import Query
from tests.unit.deploy.rules import ALERTS, OPERATIONS, TARGET, queries, recorded
from worker.core.topology import partition_queue
from worker.sandbox import Sandbox
from worker.testing.broker_process import free_ports

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

QUERIES = list(queries())
TRACED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
FAMILIES = re.findall(r"family: \[(.*)\]", (ALERTS.parent / "prometheus.yml").read_text())[0]


@dataclass(frozen=True)
class Scrape:
    """What was scraped when all had happened, and the line of a job that ended."""

    network: str
    samples: list[Sample]
    line: dict[str, object]

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series."""
        fitting = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(fitting) == 1, (name, labels, fitting)
        return fitting[0]

    def labels(self, name: str) -> set[str] | None:
        """Return the labels of a metric; None if it is not there."""
        found = [set(sample.labels) for sample in self.samples if sample.name == name]
        return set().union(*found) if found else None


@pytest.fixture(scope="module")
async def scrape(amqp_url: str, broker: Broker, sandbox: Sandbox) -> AsyncIterator[Scrape]:
    """Have a worker answer, fail, try again, find nobody who listens, and be browned out."""
    if not broker.control:
        pytest.skip("the broker of TEST_AMQP_URL is not ours to control")
    async with metrics_of(broker) as metrics, bench(amqp_url) as at:
        port = free_ports(1)[0]
        env = serving(
            at.network,
            amqp_url,
            sandbox,
            WORKER_HTTP_PORT=str(port),
            WORKER_LOG_FORMAT="json",
            WORKER_LOG_TEXT="1",
            WORKER_PROBE_INTERVAL="60",
        )
        async with running("run", env=env) as process, httpx.AsyncClient() as http:
            assert process.stderr is not None
            task = sandbox.create_task("nobody")
            await at.say(task.id, "hello?", headers=TRACED, timestamp=datetime.now(UTC))
            lines = await said(process.stderr, "job ended")
            await happen(at, sandbox)

            async def samples() -> list[Sample]:
                own = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                theirs = await metrics.scrape("/metrics/detailed", family=FAMILIES.split(", "))
                found = [*families(own), *families(theirs)]
                return [sample for family in found for sample in family.samples]

            told = json.loads(lines.splitlines()[-1])
            made = partition_queue(at.network, 1)
            while True:
                seen = Scrape(at.network, await samples(), told)
                brown = seen.value("aui_network_brown", aui_network=at.network)
                queues = {sample.labels.get("queue") for sample in seen.samples}
                if brown and made in queues:  # the broker counts its queues every few seconds
                    break
                await asyncio.sleep(0.2)
            yield seen


async def happen(at: Bench, sandbox: Sandbox) -> None:
    """Let all happen that is counted, the end of the network last."""
    hub, dead = await at.hub(), await at.dead()
    texts = ("a microwave", "!1011 after=2 times=1 | a microwave", "!400 | no")
    for text in texts:
        task = sandbox.create_task("user")
        await hub.ended(await at.say(task.id, text, timestamp=datetime.now(UTC)))
    sandbox.api_keys.discard(CANARY)
    try:
        for _ in range(3):
            await at.say(sandbox.create_task("user").id, "hello")
        await dead.until(lambda letters: len(letters) == 4)
    finally:
        sandbox.api_keys.add(CANARY)


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
async def test_what_a_query_names_is_scraped(scrape: Scrape, where: str, query: Query) -> None:
    for name, labels in query.metrics.items():
        if name not in recorded() and name != "up":
            found = scrape.labels(name)
            assert found is not None, f"{where}: no {name}"
            assert labels - TARGET <= found


async def test_what_happened_is_counted(scrape: Scrape) -> None:
    own = {"aui_network": scrape.network}
    ended = [
        scrape.value("aui_jobs_ended_total", **own, aui_verdict=verdict, aui_reason=reason)
        for verdict, reason in (
            ("completed", "completed"),
            ("rejected", "bad_request"),
            ("rejected", "unauthorized"),
        )
    ]
    assert ended == [3, 1, 3]
    dead = {**own, "aui_reason": "unauthorized"}
    assert scrape.value("aui_jobs_dead_lettered_total", **dead) == 3
    retried = {**own, "aui_reason": "upstream_error"}  # of the frame before the close
    assert scrape.value("aui_jobs_retries_total", **retried) == 1
    assert scrape.value("aui_replies_unclaimed_total", aui_reason="unrouted") == 1
    assert scrape.value("aui_brownouts_total", **own) == 1
    assert scrape.value("aui_job_time_to_first_text_seconds_count", **own) == 3
    assert scrape.value("aui_ready") == 0


async def test_the_line_of_an_ended_job_is_in_the_handbook(scrape: Scrape) -> None:
    section = OPERATIONS.read_text().split("\n### The line of a job\n")[1].split("\n##")[0]
    told = "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", told)) == set(scrape.line)
