"""The proxy that the faults are made with: each of them seen from both ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from fault_proxy import FaultProxy

pytestmark = pytest.mark.anyio

PATIENCE = 10.0


@dataclass
class Ends:
    """A client and a server, and the proxy between them."""

    proxy: FaultProxy
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    arrivals: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

    async def says(self, data: bytes) -> None:
        """Have the client send something and read all of it at the server."""
        self.client[1].write(data)
        assert await self.server[0].readexactly(len(data)) == data

    async def answers(self, data: bytes) -> None:
        """Have the server send something and read all of it at the client."""
        self.server[1].write(data)
        assert await self.client[0].readexactly(len(data)) == data


@asynccontextmanager
async def connected() -> AsyncIterator[Ends]:
    arrivals: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    opened: list[asyncio.StreamWriter] = []

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        arrivals.put_nowait((reader, writer))

    server = await asyncio.start_server(arrived, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        asyncio.timeout(PATIENCE),
        server,
        FaultProxy(f"amqp://user:word@127.0.0.1:{port}/vhost?heartbeat=2") as proxy,
    ):
        client = await asyncio.open_connection("127.0.0.1", port_of(proxy))
        opened.append(client[1])
        yield Ends(proxy, client, await arrivals.get(), arrivals)
        for writer in opened:
            writer.transport.abort()


def port_of(proxy: FaultProxy) -> int:
    return int(proxy.url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])


async def test_the_url_keeps_everything_but_the_address() -> None:
    async with FaultProxy("amqp://user:word@somewhere:5672/vhost?heartbeat=2") as proxy:
        assert proxy.url == f"amqp://user:word@127.0.0.1:{port_of(proxy)}/vhost?heartbeat=2"


async def test_it_forwards_both_ways_and_hands_on_the_end() -> None:
    async with connected() as ends:
        await ends.says(b"question")
        await ends.answers(b"answer" * 50_000)
        ends.client[1].write_eof()
        assert await ends.server[0].read() == b""
        await ends.answers(b"still heard")
        ends.server[1].close()
        assert await ends.client[0].read() == b""
        assert ends.proxy.connections == 1


async def test_a_cut_is_a_reset_at_both_ends() -> None:
    async with connected() as ends:
        await ends.says(b"question")
        ends.proxy.cut()
        for reader, _ in (ends.client, ends.server):
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_a_reset_of_one_side_reaches_the_other() -> None:
    async with connected() as ends, FaultProxy(ends.proxy.url) as behind:
        reached = asyncio.create_task(ends.proxy.reached())
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(behind))
        writer.write(b"question")
        await reached
        ends.proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_frozen_bytes_arrive_late_and_whole() -> None:
    async with connected() as ends:
        ends.proxy.freeze()
        ends.client[1].write(b"question")
        ends.client[1].write_eof()
        reading = asyncio.create_task(ends.server[0].readexactly(8))
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        assert not done
        ends.proxy.heal()
        assert await reading == b"question"
        assert await ends.server[0].read() == b""
        await ends.answers(b"answer")


async def test_a_blackhole_swallows_and_the_connection_is_beyond_repair() -> None:
    async with connected() as ends:
        await ends.says(b"question")
        ends.proxy.blackhole()
        ends.client[1].write(b"lost")
        reading = asyncio.create_task(ends.server[0].read())
        done, _ = await asyncio.wait({reading}, timeout=0.1)
        assert not done
        ends.proxy.heal()
        with pytest.raises(ConnectionResetError):
            await reading
        with pytest.raises(ConnectionResetError):
            await ends.client[0].read()


async def test_a_quiet_connection_outlives_a_blackhole() -> None:
    async with connected() as ends:
        ends.proxy.blackhole()
        ends.proxy.heal()
        await ends.says(b"question")


async def test_a_new_connection_hangs_in_a_blackhole_until_it_is_healed() -> None:
    async with connected() as ends:
        reached = asyncio.create_task(ends.proxy.reached())
        ends.proxy.blackhole()
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(ends.proxy))
        await reached
        assert ends.proxy.connections == 2
        writer.write(b"question")
        arriving = asyncio.create_task(ends.arrivals.get())
        done, _ = await asyncio.wait({arriving}, timeout=0.1)
        assert not done
        ends.proxy.heal()
        server, _ = await arriving
        assert await server.readexactly(8) == b"question"
        writer.close()


async def test_half_a_message_passes_before_a_counted_cut() -> None:
    async with connected() as ends:
        await ends.says(b"question")
        cut = asyncio.create_task(ends.proxy.cut_after(6))
        await asyncio.sleep(0)
        ends.server[1].write(b"answer, and more")
        assert await ends.client[0].readexactly(6) == b"answer"
        with pytest.raises(ConnectionResetError):
            await ends.client[0].read()
        await cut


async def test_a_slow_line_is_slow_until_healed() -> None:
    async with connected() as ends:
        ends.proxy.latency(0.3)
        asking = asyncio.create_task(ends.says(b"question"))
        done, _ = await asyncio.wait({asking}, timeout=0.1)
        assert not done
        await asking
        ends.proxy.heal()
        await ends.says(b"question")


async def test_nobody_behind_it_is_a_reset() -> None:
    async with connected() as ends:
        port = port_of(ends.proxy)
    async with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        reader, writer = await asyncio.open_connection(*proxy.url[7:].split(":"))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
