"""The server takes nothing over, keeps nobody waiting, and a bad client costs only itself."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from worker.core.errors import ConfigurationError
from worker.http import Health, application, server, serving

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1"
ENDLESS = 50_000_000
APPLICATION = application(Health(lambda: True, list), lambda: (b"x" * ENDLESS, "text/plain"))
METRICS = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection end for its age, but where that is what is tested."""
    monkeypatch.setattr(server, "ANSWERED_WITHIN", 1000.0)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve on a free port."""
    async with serving(APPLICATION, HERE, 0) as port:
        yield port


async def live(port: int) -> bool:
    """Ask whether it answers."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://{HERE}:{port}/livez")).status_code == 200


@asynccontextmanager
async def client(port: int, said: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """Connect and say something; what the server says can be read."""
    reader, writer = await asyncio.open_connection(HERE, port)
    try:
        writer.write(said)
        yield reader
    finally:
        writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read until the server has hung up; return the last that came."""
    last = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while some := await reader.read(1_000_000):
                last = some
        except ConnectionResetError:
            pass
    return last


async def test_a_taken_port_is_told_by_its_variable(port: int) -> None:
    """In one line, so that the start ends with it."""
    with pytest.raises(ConfigurationError, match=f"WORKER_HTTP_PORT: {port} is taken"):
        async with serving(APPLICATION, HERE, port):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_machine_is_told_by_its_variable(host: str) -> None:
    """Whether it is a number or a name."""
    with pytest.raises(ConfigurationError, match=f"WORKER_HTTP_HOST: {host} is no address"):
        async with serving(APPLICATION, host, 0):
            pass


async def test_the_port_is_told_once_and_requests_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A port of the system's choice can be found in the log; probes come every second."""
    caplog.set_level(logging.DEBUG)
    async with serving(APPLICATION, HERE, 0) as port:
        assert await live(port)

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("worker")]
    assert ours == [f"http on {HERE}:{port}"]
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_signals_and_logs_stay_as_they_were() -> None:
    """Both are the process's own."""
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]

    def taken() -> list[object]:
        handlers = [(one.level, list(one.handlers), one.propagate) for one in loggers]
        return [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), *handlers]

    before = taken()
    async with serving(APPLICATION, HERE, 0) as port:
        assert await live(port)
        assert taken() == before


async def test_a_connection_is_answered_once_and_closed(port: int) -> None:
    """Also where the client would keep it: none is left open when the worker ends."""
    async with client(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n") as reader:
        answer = await ended(reader)

    assert b"200 OK" in answer
    assert b"connection: close" in answer


async def test_a_body_is_not_waited_for(port: int) -> None:
    """The answer comes before it does."""
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    async with client(port, head + b"x") as reader:
        assert b'{"live":true}' in await ended(reader)


async def test_the_end_does_not_wait_for_clients() -> None:
    """Neither for those that say nothing, nor for those that do not read."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(PATIENCE), serving(APPLICATION, HERE, 0) as port:
            silent = await stack.enter_async_context(client(port))
            deaf = await stack.enter_async_context(client(port, METRICS))
            await deaf.readline()
            assert await live(port)

        assert await ended(silent) == b""
        assert not answering()
        with pytest.raises(ConnectionRefusedError):
            await stack.enter_async_context(client(port))


@pytest.mark.parametrize("said", [b"", b"GET /livez HT"])
async def test_a_client_that_does_not_ask_is_hung_up_on(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it says nothing, or never comes to the end of it."""
    monkeypatch.setattr(server, "ANSWERED_WITHIN", 0.05)
    async with serving(APPLICATION, HERE, 0) as port, client(port, said) as reader:
        assert await ended(reader) == b""


async def test_a_client_that_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has not taken by then it does not get."""
    monkeypatch.setattr(server, "ANSWERED_WITHIN", 0.5)
    async with serving(APPLICATION, HERE, 0) as port, client(port, METRICS) as reader:
        assert b"200" in await reader.readline()
        descriptors = len(os.listdir("/proc/self/fd"))
        async with asyncio.timeout(PATIENCE):
            while len(os.listdir("/proc/self/fd")) == descriptors:  # noqa: ASYNC110  untold
                await asyncio.sleep(0.02)
            assert len(await reader.read(-1)) < ENDLESS


async def test_of_too_many_connections_the_oldest_goes(port: int) -> None:
    """A crowd that holds on keeps no probe out."""
    async with AsyncExitStack() as stack:
        crowd = [
            await stack.enter_async_context(client(port))
            for _ in range(server.MOST_CONNECTIONS + 5)
        ]
        assert await live(port)
        assert [await ended(reader) for reader in crowd[:5]] == [b""] * 5
        assert not crowd[-1].at_eof()


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x00\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000]
)
async def test_nonsense_is_refused_and_not_logged(
    port: int, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may send it, as often as he likes."""
    async with client(port, said) as reader:
        answer = await ended(reader)

    assert answer == b"" or b"400" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert await live(port)


def answering() -> list[asyncio.Task[object]]:
    """Return what of the server is at work on an answer."""
    return [task for task in asyncio.all_tasks() if "run_asgi" in str(task.get_coro())]
