"""The server starts on what it is given, stops at once, and leaves nothing behind."""

import asyncio
import logging
import signal
import socket
from contextlib import suppress
from email.utils import parsedate_to_datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets import ConnectionClosed, InvalidStatus, connect

from tests.unit.sandbox.client import served, until
from worker.sandbox.uvicorn_server import Server, drop_connection

pytestmark = pytest.mark.anyio


async def hello(_: Request) -> Response:
    """Answers at once."""
    return PlainTextResponse("hello")


async def never(request: Request) -> Response:
    """Answers nobody."""
    await asyncio.Event().wait()
    return await hello(request)


async def drop(request: Request) -> Response:
    """Loses its client."""
    drop_connection(request.scope, reset="reset" in request.query_params)
    await request.receive()
    return Response()


async def deaf(websocket: WebSocket) -> None:
    """Accepts, floods if asked to, and never listens."""
    await websocket.accept()
    while "flood" in websocket.query_params:
        await websocket.send_text("x" * 1_000_000)
        await asyncio.sleep(0)
    await asyncio.Event().wait()


async def last_words(websocket: WebSocket) -> None:
    """Says a lot, then loses its client."""
    await websocket.accept()
    await websocket.send_text("x" * 5_000_000)
    drop_connection(websocket.scope, reset=False)
    await websocket.receive()


async def denied(websocket: WebSocket) -> None:
    """Accepts nobody."""
    await websocket.send_denial_response(PlainTextResponse("no", 503))


async def next_second(websocket: WebSocket) -> None:
    """Accepts when the server's date is another than at the upgrade."""
    async with httpx.AsyncClient() as http:
        url = f"http://{websocket.headers['host']}/hello"
        first = later = (await http.get(url)).headers["date"]
        while first == later:
            later = (await http.get(url)).headers["date"]
    await websocket.accept(headers=[(b"x-later", later.encode())])
    await websocket.close()


def server(port: int = 0, host: str = "127.0.0.1") -> Server:
    """A server that is not started."""
    routes = [
        Route("/hello", hello),
        Route("/never", never),
        Route("/drop", drop),
        WebSocketRoute("/deaf", deaf),
        WebSocketRoute("/last-words", last_words),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/next-second", next_second),
    ]
    return Server(Starlette(routes=routes), host, port)


async def test_it_serves_on_a_port_of_its_own_and_keeps_it() -> None:
    serving = server()
    for _ in range(2):
        await serving.start()
        async with httpx.AsyncClient() as http:
            answered = await http.get(f"http://{serving.address}/hello")
        assert answered.text == "hello"
        address = serving.address
        await serving.stop()
    assert serving.address == address


async def test_every_response_is_dated_upgrades_too() -> None:
    serving = server()
    await serving.start()
    async with httpx.AsyncClient() as http:
        dates = [
            (await http.get(f"http://{serving.address}{path}")).headers.get_list("date")
            for path in ("/hello", "/nowhere", "/deaf")
        ]
    async with connect(f"ws://{serving.address}/deaf") as accepted:
        assert accepted.response is not None
        dates.append(accepted.response.headers.get_all("date"))
    for path in ("/denied", "/nowhere"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{serving.address}{path}")
        dates.append(refused.value.response.headers.get_all("date"))
    await serving.stop()
    assert [len(one) for one in dates] == [1] * 6
    assert all(parsedate_to_datetime(one[0]).tzinfo for one in dates)


async def test_an_upgrade_that_took_long_is_dated_when_it_is_answered() -> None:
    serving = server()
    await serving.start()
    async with connect(f"ws://{serving.address}/next-second") as accepted:
        assert accepted.response is not None
        sent, later = (accepted.response.headers[name] for name in ("date", "x-later"))
    await serving.stop()
    assert parsedate_to_datetime(sent) >= parsedate_to_datetime(later)


async def test_a_taken_port_is_an_oserror_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1.*{port}.*in use"):
            await server(port).start()


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1:80"), ("0.0.0.0", "127.0.0.1:80"), ("::1", "[::1]:80")],
)
async def test_an_address_can_be_dialled(host: str, address: str) -> None:
    assert server(80, host).address == address


async def test_it_stops_with_every_kind_of_open_connection_and_leaves_no_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    serving = server()
    await serving.start()
    async with (
        httpx.AsyncClient() as http,
        connect(f"ws://{serving.address}/deaf") as quiet,
        connect(f"ws://{serving.address}/deaf?flood", max_queue=1, compression=None) as stuffed,
    ):
        await http.get(f"http://{serving.address}/hello")
        hanging = asyncio.create_task(http.get(f"http://{serving.address}/never"))
        await until(lambda: serving.open_sockets == 2)
        half_open, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        await until(lambda: served() == 3)
        await serving.stop()
        assert served() == 0
        with pytest.raises(ConnectionClosed) as closed:
            await quiet.recv()
        with pytest.raises(httpx.TransportError):
            await hanging
        assert await half_open.read() == b""
        writer.close()
        stuffed.transport.abort()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert serving.open_sockets == 0
    assert [record.getMessage() for record in caplog.records if record.levelno > 20] == []


@pytest.mark.parametrize("yields", range(6))
async def test_a_client_that_comes_while_it_stops_is_hung_up_on(yields: int) -> None:
    serving = server()
    await serving.start()
    with socket.create_connection(("127.0.0.1", serving.port)) as late:
        for _ in range(yields):
            await asyncio.sleep(0)
        await serving.stop()
        late.settimeout(5)
        with suppress(ConnectionResetError):
            assert late.recv(1) == b""


async def test_a_stop_may_come_twice_or_without_a_start() -> None:
    serving = server()
    await serving.stop()
    await serving.start()
    await serving.stop()
    await serving.stop()


async def test_a_dropped_client_sees_the_end_or_a_reset() -> None:
    serving = server()
    await serving.start()
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"http://{serving.address}/drop")
        with pytest.raises(httpx.ReadError) as reset:
            await http.get(f"http://{serving.address}/drop?reset")
    await serving.stop()
    cause: BaseException | None = reset.value
    while cause and not isinstance(cause, ConnectionResetError):
        cause = cause.__cause__ or cause.__context__
    assert cause


async def test_what_was_said_before_a_drop_arrives() -> None:
    serving = server()
    await serving.start()
    url = f"ws://{serving.address}/last-words"
    async with connect(url, compression=None, max_size=None) as client:
        assert len(await client.recv()) == 5_000_000
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    await serving.stop()
    assert closed.value.rcvd is None


async def test_signal_handlers_and_log_configuration_stay_the_callers() -> None:
    loggers = [
        logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access")
    ]

    def configuration() -> list[object]:
        logs = [(list(one.handlers), one.level, one.propagate, one.filters[:]) for one in loggers]
        return [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), *logs]

    before = configuration()
    serving = server()
    await serving.start()
    during = configuration()
    await serving.stop()
    assert before == during == configuration()
