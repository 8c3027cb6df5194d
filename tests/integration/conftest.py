"""A bench with a worker at it. Worker and sandbox serve all tests of a module: they are slow to
start, and a test's tasks, jobs and queues are its own."""

from collections.abc import AsyncIterator

import pytest
from harness import CANARY, Bench, bench, settings, working

from worker.sandbox import Sandbox


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
