"""A bench with a worker at it."""

from collections.abc import AsyncIterator

import pytest
from harness import Bench, bench, settings, working

from worker.sandbox import Sandbox


@pytest.fixture
async def at(amqp_url: str) -> AsyncIterator[Bench]:
    """Lend a bench on a network of the test's own, without a worker."""
    async with bench(amqp_url) as lent:
        yield lent


@pytest.fixture
async def served(at: Bench, amqp_url: str, sandbox: Sandbox) -> AsyncIterator[Bench]:
    """Lend a bench whose network a worker serves; its patience with AUI is short."""
    quick = settings(
        amqp_url,
        sandbox,
        at.network,
        attempts=3,
        first_text_timeout=1.0,
        idle_timeout=1.0,
        connect_timeout=1.0,
    )
    async with working(quick):
        yield at
