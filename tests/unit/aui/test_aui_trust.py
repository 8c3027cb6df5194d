"""TLS to AUI: a private authority, and a certificate of one's own, over REST and WebSocket."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.conformance.ways import connect_proxy
from tests.unit.aui.servers import REDACTOR
from tests.unit.aui.talk import GENEROUS, MAX_BYTES, request_of
from worker.aui.agent import AuiAgent
from worker.aui.network import Network
from worker.aui.trust import Trust
from worker.core.errors import AgentUnavailable
from worker.core.verdict import COMPLETED, Kind, Verdict
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Authority:
    """A private authority, and the files of what it has issued."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.server = self.ca.issue_cert("localhost")
        self.ca_file = str(folder / "ca.pem")
        self.cert_file = str(folder / "client.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.ca.issue_cert("worker@example.org").private_key_and_cert_chain_pem.write_to_path(
            self.cert_file
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Lend an authority."""
    return Authority(tmp_path)


@asynccontextmanager
async def secured(
    sandbox: Sandbox, authority: Authority, *, asks: bool = False
) -> AsyncIterator[str]:
    """Serve a sandbox over TLS; return its base URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.server.configure_cert(context)
    if asks:
        authority.ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    plain_port = int(sandbox.base_url.split(":")[2].split("/")[0])
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        theirs, to_them = await asyncio.open_connection("127.0.0.1", plain_port)
        try:
            await asyncio.gather(pass_on(reader, to_them), pass_on(theirs, writer))
        except (OSError, RuntimeError, asyncio.CancelledError):
            pass  # one of both has gone, or the test has ended
        finally:
            running.discard(task)
            to_them.transport.abort()
            writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield sandbox.base_url.replace(
            f"http://127.0.0.1:{plain_port}", f"https://localhost:{port}"
        )
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def tried(sandbox: Sandbox, base_url: str, trust: Trust) -> tuple[Verdict, Verdict]:
    """Use the socket and REST; return how each ended."""
    task = sandbox.create_task("user_1")
    network = Network("default", "API_KEY_canary_4f1c", base_url, trust=trust)
    agent = AuiAgent(network, GENEROUS, MAX_BYTES, REDACTOR)
    deadline = asyncio.get_running_loop().time() + 10.0
    turn = await agent.converse(task.id, request_of(task.id, "hi"), deadline, lambda _: None)
    try:
        await agent.task_messages(task.id)
        rest = COMPLETED
    except AgentUnavailable as error:
        rest = error.verdict
    await agent.aclose()
    assert turn.verdict is not None
    return turn.verdict, rest


async def test_a_private_authority_is_trusted_once_it_is_named(
    sandbox: Sandbox, authority: Authority
) -> None:
    async with secured(sandbox, authority) as url:
        refused = await tried(sandbox, url, Trust())
        well = await tried(sandbox, url, Trust(authority.ca_file))
    assert [verdict.reason for verdict in refused] == ["connection_failed"] * 2
    assert all("certificate" in verdict.detail.lower() for verdict in refused)
    assert [verdict.kind for verdict in well] == [Kind.COMPLETED] * 2


async def test_it_is_trusted_through_a_proxy_too(
    sandbox: Sandbox, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secured(sandbox, authority) as url, connect_proxy() as port:
        for name in ("wss_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        well = await tried(sandbox, url, Trust(authority.ca_file))
    assert [verdict.kind for verdict in well] == [Kind.COMPLETED] * 2


async def test_a_certificate_of_another_host_is_refused(
    sandbox: Sandbox, authority: Authority
) -> None:
    async with secured(sandbox, authority) as url:
        elsewhere = url.replace("localhost", "127.0.0.1")
        refused = await tried(sandbox, elsewhere, Trust(authority.ca_file))
    assert [verdict.reason for verdict in refused] == ["connection_failed"] * 2


async def test_who_is_asked_for_a_certificate_shows_its_own(
    sandbox: Sandbox, authority: Authority
) -> None:
    async with secured(sandbox, authority, asks=True) as url:
        without = await tried(sandbox, url, Trust(authority.ca_file))
        with_it = await tried(sandbox, url, Trust(authority.ca_file, authority.cert_file))
    assert all(verdict.kind is Kind.INTERRUPTED for verdict in without)
    assert [verdict.kind for verdict in with_it] == [Kind.COMPLETED] * 2
