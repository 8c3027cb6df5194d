"""A broker that is not reached: the line names the step at which it went wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from worker.amqp.reach import reached
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio

PEM = Path(__file__).parents[1] / "aui" / "localhost.pem"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def why(url: str, patience: float = 20.0) -> str:
    """Try to reach it; return the line."""
    with pytest.raises(LinkLost) as failed:
        async with reached("check", url, patience):
            pass
    assert "SEKRET" not in str(failed.value)
    return str(failed.value)


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve something else; lend the address."""
    over = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        if talk is silent:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"guest:SEKRET@127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        over.set()


async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Say nothing."""


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Hear the greeting, and go."""
    await reader.read(100)


async def another_version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak AMQP 1.0 only."""
    await reader.read(100)
    writer.write(b"AMQP\x00\x01\x00\x00")
    await writer.drain()


async def test_a_name_without_an_address() -> None:
    assert (await why("amqp://guest:SEKRET@no-such.invalid/")).startswith(
        "DNS: no-such.invalid has no address ("
    )


async def test_a_port_at_which_nobody_listens() -> None:
    assert (
        await why("amqp://guest:SEKRET@127.0.0.1:9/") == "connection: refused: nobody listens there"
    )


async def test_a_server_that_says_nothing() -> None:
    async with listening(silent) as where:
        assert await why(f"amqp://{where}", 0.1) == "connection: no answer within 0.1 s"


async def test_a_server_of_another_kind() -> None:
    async with listening(hang_up) as where:
        assert (await why(f"amqp://{where}")).startswith(
            "connection: hung up before it said a word"
        )


async def test_a_broker_of_another_protocol() -> None:
    async with listening(another_version) as where:
        assert "what is there does not speak AMQP 0-9-1" in await why(f"amqp://{where}")


async def test_a_port_without_tls() -> None:
    async with listening(another_version) as where:
        assert (await why(f"amqps://{where}")).startswith("TLS: ")


async def test_a_certificate_of_nobodys() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    async with listening(hang_up, context) as where:
        line = await why(f"amqps://{where}")
        assert line.startswith("TLS: the certificate is not to be trusted: ")
        assert "cafile=" in line


async def test_a_file_that_is_not_there() -> None:
    line = await why("amqps://guest:SEKRET@127.0.0.1:9/?cafile=/nowhere/ca.pem")
    assert line.startswith("TLS: a file that the URL names cannot be read")


async def test_a_user_and_a_virtual_host_that_are_refused(amqp_url: str) -> None:
    login = await why(amqp_url.replace("guest:guest@", "guest:SEKRET@"))
    vhost = await why(f"{amqp_url.rstrip('/')}/no%2Fwhere")

    assert login == "login: the broker refused the user name or password"
    assert vhost.startswith("virtual host: the broker refused 'no/where': it is not there")


async def test_a_broker_that_is_reached_tells_what_it_is(amqp_url: str) -> None:
    async with reached("check", amqp_url, 20.0) as session:
        assert session.server[0] == "RabbitMQ"
    assert session.lost
