"""A sandbox on loopback for every test that asks for one, and a client to talk to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.unit.sandbox.client import KEY, Client
from worker.sandbox import DialectName, Sandbox


@pytest.fixture
def anyio_backend() -> str:
    """The sandbox is asyncio's."""
    return "asyncio"


@pytest.fixture
def dialect() -> DialectName:
    """The documents' dialect, unless a test says otherwise."""
    return "docs"


@pytest.fixture
async def sandbox(anyio_backend: str, dialect: DialectName) -> AsyncIterator[Sandbox]:
    """A running sandbox that streams as fast as it can."""
    async with Sandbox(api_key=KEY, dialect=dialect, word_delay=0) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """A WebSocket client of that sandbox."""
    return Client(sandbox)


@pytest.fixture
async def http(anyio_backend: str, sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A REST client of that sandbox, with its key."""
    headers = {"x-network-api-key": KEY}
    url = f"{sandbox.base_url}/api/v1/external"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as running:
        yield running
