"""How a worker starts, survives and stops, as a process on a real RabbitMQ."""

import signal

import pytest
from fault_proxy import FaultProxy
from harness import CANARY, PARTITIONS, Bench, settings, working
from programs import environment, finished, running, said, serving, start

from worker.core.slots import partition_of, slot_of
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_sigterm_in_mid_stream_finishes_the_answer(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The running answer is completed and acked, then the process exits with 0, quietly."""
    task = sandbox.create_task("user")
    async with running("run", env=serving(at.network, amqp_url, sandbox)) as worker:
        hub = await at.hub()
        job = await at.say(task.id, "!load updates=20 interval=0.05 chunk=5")
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        worker.send_signal(signal.SIGTERM)
        final = await hub.ended(job)
        _, errors = await worker.communicate()

    assert final.type == "message.completed"
    assert len(hub.texts(job)) == 20
    assert worker.returncode == 0
    assert "Traceback" not in errors.decode()
    assert "never" not in errors.decode()


async def test_a_slow_answer_holds_up_no_other_partition_of_a_worker_that_stops(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The other worker has the rest while the first one still finishes what runs."""
    slow, other = (sandbox.create_task("user") for _ in range(2))
    while partition_of_task(slow.id) == partition_of_task(other.id):
        other = sandbox.create_task("user")
    env = serving(at.network, amqp_url, sandbox)
    async with running("run", env=env | {"WORKER_ID": "first"}) as first:
        hub = await at.hub()
        job = await at.say(slow.id, "!load updates=300 interval=0.05 chunk=5")
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        async with running("run", env=env | {"WORKER_ID": "second"}):
            first.send_signal(signal.SIGTERM)
            assert first.stderr is not None
            await said(first.stderr, "stopping")
            next_job = await at.say(slow.id, "and then?")
            final = await hub.ended(await at.say(other.id, "a microwave"))
            assert final.type == "message.completed"
            assert not hub.terminals(job)
            assert (await hub.ended(job)).type == "message.completed"
            assert (await hub.ended(next_job)).type == "message.completed"
            await first.communicate()

    assert first.returncode == 0
    assert len(hub.texts(job)) == 300
    assert [message.text for message in sandbox.store.user_messages(slow.id)][1:] == ["and then?"]


def partition_of_task(task_id: str) -> int:
    """Return the partition that a task's jobs lie in."""
    return partition_of(slot_of(task_id), PARTITIONS)


async def test_a_second_signal_gives_the_job_back(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The job is not lost: the next worker answers it, under a later attempt."""
    task = sandbox.create_task("user")
    hub = None
    async with running("run", env=serving(at.network, amqp_url, sandbox)) as worker:
        hub = await at.hub()
        job = await at.say(task.id, "!load updates=60 interval=0.05 chunk=5")
        await hub.until(lambda _: len(hub.texts(job)) >= 3)
        assert worker.stderr is not None
        worker.send_signal(signal.SIGTERM)
        await said(worker.stderr, "stopping")
        worker.send_signal(signal.SIGTERM)
        _, errors = await worker.communicate()
        assert worker.returncode == 0
        assert "Traceback" not in errors.decode()
    assert not hub.terminals(job)

    async with working(settings(amqp_url, sandbox, at.network)):
        final = await hub.ended(job)

    assert final.type == "message.completed"
    assert final.headers["aui-attempt"] > 64


async def test_a_lost_broker_connection_comes_back(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Both connections are reset between two jobs: the second is answered all the same."""
    task = sandbox.create_task("user")
    async with (
        FaultProxy(amqp_url) as proxy,
        working(settings(proxy.url, sandbox, at.network)),
    ):
        hub = await at.hub()
        first = await hub.ended(await at.say(task.id, "a microwave"))
        proxy.cut()
        second = await hub.ended(await at.say(task.id, "and the cheapest?"))

    assert proxy.connections >= 4
    assert [first.type, second.type] == ["message.completed"] * 2


async def test_without_a_broker_it_says_so_and_waits(sandbox: Sandbox) -> None:
    """One clear line a try, with growing pauses, until it is stopped."""
    env = environment("amqp://guest:guest@127.0.0.1:9/", sandbox, AUI_NETWORK_API_KEY=CANARY)
    worker = await start("run", env=env)
    assert worker.stderr is not None
    lines = await said(worker.stderr, "next try in")
    worker.terminate()
    _, errors = await worker.communicate()

    assert "no broker at amqp://guest@127.0.0.1:9/" in lines
    assert worker.returncode == 0
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("guest:guest@", "guest:SEKRET-PASSWORD@"), "refused the user name or password"),
        (("guest:guest@", "nobody:SEKRET-PASSWORD@"), "refused the user name or password"),
        (("/end", "/not-there"), "refused the virtual host"),
    ],
)
async def test_wrong_credentials_or_vhost_are_one_line_and_exit_78(
    amqp_url: str, sandbox: Sandbox, wrong: tuple[str, str], told: str
) -> None:
    """EX_CONFIG, no traceback, no password."""
    url = f"{amqp_url.rstrip('/')}/end".replace(*wrong).removesuffix("/end")
    env = environment(url, sandbox, AUI_NETWORK_API_KEY=CANARY)

    code, out, errors = await finished("run", env=env)

    where, line = errors.splitlines()
    assert code == 78
    assert "http on" in where
    assert line.startswith("aui-worker: AMQP_URL: amqp://")
    assert told in line
    assert "SEKRET" not in out + errors
    assert CANARY not in out + errors


async def test_the_key_shows_in_no_log_line(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """At debug level, over retries and refusals that echo the query string."""
    task = sandbox.create_task("user")
    env = serving(at.network, amqp_url, sandbox, WORKER_LOG_LEVEL="debug", WORKER_LOG_FORMAT="json")
    async with running("run", env=env) as worker:
        hub = await at.hub()
        refused = ("!400", "!1008 status=401")
        for text in ("!1011 times=1 | a microwave", *refused, "!garbage answered=yes"):
            await hub.ended(await at.say(task.id, text))
        worker.terminate()
        out, errors = await worker.communicate()

    assert b"job ended" in errors
    assert CANARY.encode() not in out + errors
    replies = "".join(f"{m.body!r}{m.headers}" for m in hub.messages)
    assert "network_api_key=" in replies
    assert CANARY not in replies
