"""A socket is opened as the URL and the environment say, and offers what the library offers."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.conformance.script import final
from tests.conformance.ways import connect_proxy
from tests.unit.aui.servers import KEY, raw_server, response, websocket_server
from tests.unit.aui.talk import request_of, talk
from worker.aui.alarms import Alarms
from worker.aui.direct import DirectSocket
from worker.aui.network import Network
from worker.aui.opening import Opening
from worker.aui.proxied import ProxiedSocket
from worker.aui.sockets import Socket, ToldTime
from worker.core.verdict import COMPLETED

pytestmark = pytest.mark.anyio

PEM = Path(__file__).with_name("localhost.pem")


async def say_hi(socket: ServerConnection) -> None:
    """Answer whatever comes."""
    async for _ in socket:
        await socket.send(final("Hi").decode())


@pytest.fixture
async def tls_port() -> AsyncIterator[int]:
    """Serve AUI over TLS, as `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    async with serve(say_hi, "127.0.0.1", 0, ssl=context) as listener:
        yield next(iter(listener.sockets)).getsockname()[1]


@pytest.mark.usefixtures("way")
async def test_a_certificate_that_is_trusted_is_taken(
    tls_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    network = Network("default", KEY, f"https://localhost:{tls_port}/api")
    heard = await talk(network, request_of("t", "x" * 300_000))
    assert heard.verdict is COMPLETED


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
async def test_a_certificate_that_is_not_trusted_or_of_another_host_is_refused(
    tls_port: int, host: str, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    heard = await talk(Network("default", KEY, f"https://{host}:{tls_port}/api"))
    assert heard.verdict.reason == "connection_failed"
    assert "CERTIFICATE_VERIFY_FAILED" in heard.verdict.detail


@pytest.mark.usefixtures("way")
async def test_a_server_that_hangs_up_in_the_middle_of_the_tls_handshake_is_no_connection() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        heard = await talk(Network("default", KEY, f"https://localhost:{port}/api"))
    assert heard.verdict.reason == "connection_failed"


@pytest.mark.usefixtures("way")
async def test_of_several_addresses_the_one_that_answers_is_taken() -> None:
    """`localhost` is ::1 as well, where nobody listens."""
    async with websocket_server(say_hi) as server:
        network = Network("default", KEY, f"http://localhost:{server.port}/api")
        assert (await talk(network)).verdict is COMPLETED


@pytest.mark.usefixtures("way")
async def test_what_it_asks_for_is_what_the_library_asks_for() -> None:
    async with raw_server(response(401)) as server:
        await talk(server.network())
    lines = server.heads[0].decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    offered = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
    assert headers.pop("Sec-WebSocket-Extensions") == offered
    assert re.fullmatch(r"Python/\S+ websockets/\S+", headers.pop("User-Agent"))
    assert len(headers.pop("Sec-WebSocket-Key")) == 24
    assert headers == {
        "Host": f"127.0.0.1:{server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
    }


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, DirectSocket),
        ({"ws_proxy": "here"}, ProxiedSocket),
        ({"http_proxy": "here"}, ProxiedSocket),
        ({"wss_proxy": "here"}, DirectSocket),
        ({"ws_proxy": "here", "no_proxy": "127.0.0.1"}, DirectSocket),
    ],
)
async def test_a_proxy_is_used_where_the_environment_names_one_for_the_url(
    environment: dict[str, str], kind: type[Socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("socks_proxy", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    alive: set[Socket] = set()
    async with websocket_server(say_hi) as server, connect_proxy() as proxy:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.replace("here", f"http://127.0.0.1:{proxy}"))
        socket = await Opening(server.network(), 1000, alive, Alarms()).open()
        assert isinstance(socket, kind)
        assert alive == {socket}
        socket.close()
        await socket.closed()
        assert alive == set()


async def test_the_certificates_are_read_once_for_all_sockets(
    tls_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    opening = Opening(
        Network("default", KEY, f"https://localhost:{tls_port}/api"), 1000, set(), Alarms()
    )
    for _ in range(2):
        socket = await opening.open()
        socket.close()
        await socket.closed()
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")


def test_the_time_that_was_told_goes_on() -> None:
    assert ToldTime(1000.0, 50.0).by(50.0) == 1000.0
    assert ToldTime(1000.0, 50.0).by(75.5) == 1025.5
    assert ToldTime(None, 50.0).by(75.5) is None
