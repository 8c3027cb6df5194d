"""What every test may use: the event loop, a real broker, and a sandbox of AUI."""

from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
from broker import Broker, running_broker

from worker.sandbox import Sandbox

# No test asserts a time: a slow machine is no failing example.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every asynchronous test and fixture on asyncio, in one loop a session."""
    return "asyncio"


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[Broker]:
    """Lend a RabbitMQ for the session, as the plugin does; here, what it needs is installed."""
    with running_broker() as running:
        yield running


@pytest.fixture(scope="session")
def broker(rabbitmq: Broker) -> Broker:
    """Return the session's RabbitMQ."""
    return rabbitmq


@pytest.fixture(scope="session")
def amqp_url(rabbitmq: Broker) -> str:
    """Return the URL of the session's RabbitMQ."""
    return rabbitmq.url


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a sandbox of AUI of the test's own, as fast as it can."""
    async with Sandbox(api_key="API_KEY_canary_4f1c", word_delay=0.0) as running:
        yield running
