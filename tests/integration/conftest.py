"""A bench with a worker at it. Worker and sandbox serve all tests of a module: they are slow to
start, and a test's tasks, jobs and queues are its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from harness import CANARY, PARTITIONS, Bench, bench, settings, working
from lines import Line
from witness import judge, witnessing

from tests.conformance.watching import running
from worker.amqp.declare import establish
from worker.amqp.link import Link
from worker.amqp.session import Session
from worker.core.topology import partition_queue, unslotted
from worker.sandbox import Sandbox


@pytest.fixture(autouse=True)
async def _contract_kept(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[None]:
    """Hold whatever the workers of a test publish against the published contract."""
    async with AsyncExitStack() as stack:
        unheard = request.node.get_closest_marker("unheard") is not None
        if "amqp_url" in request.fixturenames and not unheard:
            await stack.enter_async_context(witnessing(request.getfixturevalue("amqp_url")))
        yield
    judge()


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a sandbox of AUI for the module, as fast as it can."""
    async with Sandbox(api_key=CANARY, word_delay=0.0) as running:
        yield running


@pytest.fixture(scope="module")
async def served_network(amqp_url: str, sandbox: Sandbox) -> AsyncIterator[str]:
    """Serve a network of the module's own; the worker's patience with AUI is short."""
    async with bench(amqp_url) as lent:
        quick = settings(
            amqp_url,
            sandbox,
            lent.network,
            attempts=3,
            first_text_timeout=2.0,
            idle_timeout=2.0,
            connect_timeout=2.0,
            brownout_after=1000,  # one failing scenario after another is no outage here
        )
        async with working(quick):
            yield lent.network


@pytest.fixture
async def served(served_network: str, amqp_url: str, sandbox: Sandbox) -> AsyncIterator[Bench]:
    """Lend a bench whose network a worker serves."""
    async with bench(amqp_url, served_network, keep=True) as lent:
        yield lent
    sandbox.clear_faults()


@pytest.fixture
async def at(amqp_url: str) -> AsyncIterator[Bench]:
    """Lend a bench on a network of the test's own, without a worker."""
    async with bench(amqp_url) as lent:
        yield lent


@pytest.fixture
async def lines(at: Bench, amqp_url: str) -> AsyncIterator[list[Line]]:
    """Lend the queues of a network of the test's own: its partitions, and the one of strays."""

    async def prepare(session: Session) -> None:
        await establish(session, [at.network], PARTITIONS, "declare")

    async with AsyncExitStack() as stack:
        link = Link("partitions", amqp_url, prepare)
        await stack.enter_async_context(running(link.run))
        await link.session()
        names = [partition_queue(at.network, number) for number in range(PARTITIONS)]
        yield [Line(at, link, stack, name) for name in [*names, unslotted(at.network)]]


@pytest.fixture
def line(lines: list[Line]) -> Line:
    """Lend one partition."""
    return lines[0]
