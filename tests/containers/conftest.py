"""The container stage: the product's image, RabbitMQ 4 and a sandbox, in a Docker engine.

scripts/containers runs it, and builds the image for it. Without that nothing here is collected: a
suite that needs no engine stays one.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.containers.boxes import RABBITMQ, Site, published
from worker.testing.broker import ready

collect_ignore_glob = [] if os.environ.get("AUI_CONTAINER_STAGE") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give them time, and let testcontainers use what testcontainers has deprecated."""
    for item in items:
        item.add_marker(pytest.mark.timeout(240))
        item.add_marker(
            pytest.mark.filterwarnings("ignore:The @wait_container_is_ready:DeprecationWarning")
        )


@pytest.fixture(scope="session")
def network() -> Iterator[object]:
    """Lend a Docker network."""
    from testcontainers.core.network import Network

    with Network() as lent:
        yield lent


@pytest.fixture(scope="session")
def _served(network: Any) -> Iterator[Site]:
    """Run a RabbitMQ and a sandbox for all tests of one broker."""
    from testcontainers.core.container import DockerContainer

    from worker.testing import AuiSandboxContainer

    with (
        DockerContainer(
            RABBITMQ,
            network=network,
            network_aliases=["rabbitmq"],
            hostname="rabbitmq",
            ports=[5672],
        ) as broker,
        AuiSandboxContainer(network=network) as aui,
        ExitStack() as workers,
    ):
        url = published(broker)
        ready(url, "rabbitmq", lambda: None)
        yield Site(network, url, aui, workers)


@pytest.fixture
def site(_served: Site) -> Iterator[Site]:
    """Lend the broker and the sandbox; what a test starts there, ends with it."""
    with ExitStack() as workers:
        lent = Site(_served.network, _served.amqp_url, _served.aui, workers)
        yield lent
    lent.assert_nothing_is_left()
