"""Both event loops, and both ways in which a WebSocket is opened."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.ways import opened


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run what is done with the wire on both loops a worker may have."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture(params=["direct", "proxied"])
async def way(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Open WebSockets directly, and through a proxy that the environment names."""
    async with opened(request.param, monkeypatch):
        yield request.param
