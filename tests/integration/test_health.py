"""What a worker process says of its health, from its start over its troubles to its end."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fault_proxy import FaultProxy
from harness import Bench
from programs import PATIENCE, said, serving, start

from worker.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


class Health:
    """The pages of one worker process."""

    def __init__(self, process: asyncio.subprocess.Process, http: httpx.AsyncClient) -> None:
        self.process = process
        self._http = http

    async def status(self, page: str) -> int:
        """Return what a probe would see."""
        return (await self._http.get(page)).status_code

    async def until(self, ready: bool, reason: str = "") -> list[str]:
        """Wait until it is ready, or not ready for some reason; return all of them."""
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                response = await self._http.get("/readyz")
                told: dict[str, Any] = response.json()
                reasons: list[str] = told["reasons"]
                if told["ready"] is ready and reason in " ".join(reasons):
                    assert response.status_code == (200 if ready else 503)
                    return reasons
                await asyncio.sleep(0.05)


@asynccontextmanager
async def worker(env: Mapping[str, str]) -> AsyncIterator[Health]:
    """Run a worker; enter as soon as it has said where its pages are."""
    process = await start("run", env=env)
    assert process.stderr is not None
    try:
        port = re.findall(r"http on 127\.0\.0\.1:(\d+)\n", await said(process.stderr, "http on"))[0]
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield Health(process, http)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_broker_that_comes_goes_and_comes_back(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """It lives all the time; started, it stays started; ready it is only with a broker."""
    async with FaultProxy(amqp_url) as proxy:
        proxy.blackhole()
        async with worker(serving(at.network, proxy.url, sandbox)) as health:
            pages = ("/livez", "/startupz", "/readyz")
            assert [await health.status(page) for page in pages] == [200, 503, 503]
            assert "starting" in await health.until(ready=False)
            proxy.heal()
            await health.until(ready=True)
            assert [await health.status(page) for page in pages] == [200, 200, 200]
            proxy.blackhole()
            proxy.cut()
            reasons = await health.until(ready=False, reason="queues not consumed")
            assert [await health.status(page) for page in pages] == [200, 200, 503]
            proxy.heal()
            await health.until(ready=True)

    assert f"network {at.network}: 3 of 3 queues not consumed" in reasons


async def test_a_network_that_is_out_is_named(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """The worker lives, and is ready again when AUI is back."""
    tasks = [sandbox.create_task(f"user-{n}") for n in range(8)]
    quick = {"WORKER_BROWNOUT_AFTER": "3", "WORKER_PROBE_INTERVAL": "0.3"}
    async with worker(serving(at.network, amqp_url, sandbox, **quick)) as health:
        await health.until(ready=True)
        await sandbox.stop()
        for task in tasks:
            await at.say(task.id, "a microwave")
        (reason,) = await health.until(ready=False, reason="browned out")
        assert await health.status("/livez") == 200
        await sandbox.start()
        await health.until(ready=True)

    assert f"network {at.network} is browned out" in reason


async def test_a_worker_that_stops_says_so_until_its_last_answer(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """An orchestrator sees a draining process, not one that has hung; then the port is free."""
    task = sandbox.create_task("user")
    async with worker(serving(at.network, amqp_url, sandbox)) as health:
        await health.until(ready=True)
        hub = await at.hub()
        job = await at.say(task.id, "!load updates=30 interval=0.1 chunk=5")
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        health.process.send_signal(signal.SIGTERM)
        reasons = await health.until(ready=False, reason="stopping")
        assert await health.status("/livez") == 200
        assert not hub.terminals(job)
        final = await hub.ended(job)
        _, errors = await health.process.communicate()

    assert reasons == ["stopping"]
    assert final.type == "message.completed"
    assert health.process.returncode == 0
    assert "Traceback" not in errors.decode()


async def test_a_port_that_is_taken_ends_the_start(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """With one line that names the variable, and before anything is consumed."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(listener.sockets[0].getsockname()[1])
    async with listener:
        process = await start(
            "run", env=serving(at.network, amqp_url, sandbox, WORKER_HTTP_PORT=port)
        )
        _, errors = await process.communicate()

    assert process.returncode == 78
    assert (
        errors.decode() == f"aui-worker: WORKER_HTTP_PORT: {port} is taken (0 takes any free one)\n"
    )
