"""The sandbox as its users meet it: in their loop, or as a program."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
import pytest
from websockets import InvalidStatus

from tests.unit.sandbox.client import KEY, MICROWAVE, QUERY, Client, ask, hear, served, until
from worker.sandbox import DEFAULT_API_KEY, SCENARIOS, Sandbox

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
PROGRAM = """
import asyncio, sys
from worker.sandbox import Sandbox

def started(sandbox):
    print(sandbox.ws_url, flush=True)
    sandbox.create_task("u", "t")

asyncio.run(Sandbox(port=int(sys.argv[1])).run_forever(started))
print("stopped", flush=True)
"""


async def program(port: int = 0) -> asyncio.subprocess.Process:
    """The sandbox as a program of its own, with every warning an error."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(port)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def test_its_urls_are_those_of_the_documents(sandbox: Sandbox) -> None:
    assert sandbox.base_url == f"http://127.0.0.1:{sandbox.port}/api/ia-controller"
    assert sandbox.ws_url == (
        f"ws://127.0.0.1:{sandbox.port}/api/ia-controller/api/v1/external/session"
    )
    assert sandbox.admin_url == f"http://127.0.0.1:{sandbox.port}/sandbox"


async def test_nothing_is_left_behind_with_turns_running_and_sockets_open() -> None:
    async with Sandbox(api_key=KEY, word_delay=0) as sandbox:
        task = sandbox.create_task("u")
        async with Client(sandbox).connect() as socket:
            await socket.send(json.dumps({"task_id": task.id, "text": "!stall seconds=999"}))
            await socket.recv()
            assert served() == 1
            await sandbox.stop()
            assert served() == 0
            heard = await hear(socket)
    assert heard.code == 1012
    assert sandbox.state()["running_turns"] == 0


async def test_it_can_go_away_and_come_back_with_its_memory() -> None:
    sandbox = Sandbox(api_key=KEY, word_delay=0)
    async with sandbox:
        url, task = sandbox.base_url, sandbox.create_task("u")
        await Client(sandbox).ask(task.id, MICROWAVE)
    async with sandbox:
        assert sandbox.base_url == url
        heard = await Client(sandbox).ask(task.id, "the cheaper one")
    assert heard.final["text"].startswith("The cheapest of these")
    assert len(task.messages) == 4


async def test_a_taken_port_is_an_oserror(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        async with Sandbox(port=sandbox.port):
            pass


async def test_a_key_can_be_revoked_while_it_runs(client: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("u")
    sandbox.api_keys.clear()
    async with client.connect() as socket:
        assert (await hear(socket)).code == 1008
    sandbox.api_keys.add(KEY)
    assert (await client.ask(task.id, "hi")).final


async def test_faults_are_ordered_and_cleared_in_process(client: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("u")
    sandbox.fault(upgrade={"status": 401}, rest={}, connect={"delay": 0})
    with pytest.raises(InvalidStatus):
        await client.ask(task.id, "hi")
    sandbox.clear_faults()
    assert (await client.ask(task.id, "hi")).final
    with pytest.raises(ValueError, match="must be from 400 to 599"):
        sandbox.fault(upgrade={"status": 200})


async def test_a_task_can_be_seeded_with_an_id(client: Client, sandbox: Sandbox) -> None:
    sandbox.create_task("user_123", task_id="68e78d0dc5a4b19a030d03d6")
    assert (await client.ask("68e78d0dc5a4b19a030d03d6", "hi")).final
    with pytest.raises(ValueError, match="already"):
        sandbox.create_task("user_123", task_id="68e78d0dc5a4b19a030d03d6")


async def test_no_key_is_ever_logged(
    client: Client, http: httpx.AsyncClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for noisy in ("httpx", "httpcore", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    task = sandbox.create_task("u")
    for scenario in ("1011", "400", "cut", "reset", "huge bytes=9", "nonsense", "unknown"):
        await client.ask(task.id, f"!{scenario}")
    for query in ("network_api_key=bad-" + quote(KEY, ""), QUERY.replace("_", "%5F", 2)):
        async with client.connect(query) as socket:
            await ask(socket, task.id, "hi") if "bad" not in query else await hear(socket)
    sandbox.fault(upgrade={"times": 1})
    with pytest.raises(InvalidStatus):
        await client.ask(task.id, "hi")
    await http.get(f"/tasks?user_id=u&{QUERY}")
    for noisy in ("httpx", "httpcore", "websockets"):
        logging.getLogger(noisy).setLevel(logging.NOTSET)
    written = "\n".join(record.getMessage() for record in caplog.records)
    assert "network_api_key=***" in written
    assert KEY not in unquote(written)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_the_program_at_once_and_without_a_word(number: int) -> None:
    process = await program()
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    fake = Sandbox()
    async with Client(fake).connect(uri=f"{url}?network_api_key={DEFAULT_API_KEY}") as socket:
        await socket.send(json.dumps({"task_id": "t", "text": "!stall seconds=999"}))
        await socket.recv()
        process.send_signal(number)
        async with asyncio.timeout(20):
            heard = await hear(socket)
            out, err = await process.communicate()
    assert heard.code == 1012
    assert (process.returncode, out, err) == (0, b"stopped\n", b"")


async def test_a_program_whose_port_is_taken_says_so(sandbox: Sandbox) -> None:
    process = await program(sandbox.port)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"OSError" in err
    assert b"in use" in err


async def test_it_carries_many_conversations_at_once(client: Client, sandbox: Sandbox) -> None:
    tasks = [sandbox.create_task("u") for _ in range(100)]
    text = "!load updates=20 interval=0.01 chunk=10"
    heard = await asyncio.gather(*(client.ask(task.id, text) for task in tasks))
    assert {len(one.texts) for one in heard} == {20}
    assert sandbox.state()["user_messages"] == 100
    await until(lambda: sandbox.state()["open_sockets"] == 0)


async def test_these_are_all_scenarios() -> None:
    assert set(SCENARIOS) == {
        *("1011", "1008", "400", "error", "cut", "close", "silence", "stall", "reset"),
        *("garbage", "unknown", "huge", "rewrite", "final-only", "load", "lag"),
    }


async def test_it_imports_nothing_else_of_the_worker() -> None:
    sources = (ROOT / "worker" / "sandbox").glob("*.py")
    imports = {
        line.split()[1]
        for source in sources
        for line in source.read_text().splitlines()
        if line.startswith(("from worker", "import worker"))
    }
    assert imports
    assert all(name.startswith("worker.sandbox") for name in imports)
