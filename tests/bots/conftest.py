"""A sandbox, and a network of the module's own with a worker at it."""

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
async def network(amqp_url: str, sandbox: Sandbox) -> AsyncIterator[str]:
    """Serve a network; the worker gives up on AUI after two attempts."""
    async with bench(amqp_url) as lent:
        served = settings(amqp_url, sandbox, lent.network, attempts=2, brownout_after=1000)
        async with working(served):
            yield lent.network
        for name in ("sms", "whatsapp"):
            await lent.channel.queue_delete(f"sub.{name}-bot.{lent.network}")


@pytest.fixture
async def at(network: str, amqp_url: str) -> AsyncIterator[Bench]:
    """Lend a bench on the network."""
    async with bench(amqp_url, network, keep=True) as lent:
        yield lent
