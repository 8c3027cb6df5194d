"""The commands of the terminal, as processes on a real RabbitMQ, as a person would use them."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import pytest
from broker import Broker
from harness import CANARY, Bench, bench, settings, working
from programs import environment, finished, running, said, serving, start

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def default(amqp_url: str, sandbox: Sandbox) -> AsyncIterator[Bench]:
    """Lend a bench on the default network, with a worker."""
    served = settings(amqp_url, sandbox, "default", partitions=16)
    async with bench(amqp_url, "default") as lent, working(served):
        yield lent


async def test_send_prints_the_job_id_and_tail_shows_the_answer(
    default: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """One terminal watches a task while another one sends to it."""
    task = sandbox.create_task("user")
    env = environment(amqp_url)
    tail = await start("tail", task.id, env=env)
    assert tail.stdout is not None
    try:
        await said(tail.stdout, "listening")
        code, job, _ = await finished("send", "a microwave", "--task", task.id, env=env)
        shown = await said(tail.stdout, "✓")
    finally:
        tail.terminate()
        await tail.communicate()

    assert code == 0
    assert len(job.strip()) == 32
    assert sandbox.store.tasks[task.id].messages[-1].text[:30] in shown


async def test_tail_leaves_nothing_behind_however_it_ends(amqp_url: str, broker: Broker) -> None:
    """A queue that is bound to all replies would have heard what nobody hears."""
    for ending in (signal.SIGTERM, signal.SIGINT):
        before = subscriptions(broker)
        tail = await start("tail", env=environment(amqp_url))
        assert tail.stdout is not None
        await said(tail.stdout, "listening")
        assert subscriptions(broker) > before
        tail.send_signal(ending)
        _, errors = await tail.communicate()
        assert (tail.returncode, errors) == (0, b"")
        assert subscriptions(broker) == before


def subscriptions(broker: Broker) -> set[str]:
    """Return the queues of clients that stand on the broker."""
    names = broker.ctl("list_queues", "--silent", "name").split()
    return {name for name in names if name.startswith("sub.")}


async def test_send_to_a_user_works_without_knowing_a_task(
    default: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """The user's task is made, and the answer is labelled as asked."""
    hub = await default.hub()

    words = ["send", "hi", "--user", "+49 170", "--channel", "sms", "--updates", "off"]
    code, job, _ = await finished(*words, "--job", "my-job", env=environment(amqp_url))
    final = await hub.ended("my-job")

    assert (code, job) == (0, "my-job\n")
    assert final.routing_key.split(".")[1] == "sms"
    assert len(sandbox.store.tasks_of("+49 170")) == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["send", "hi"], 2, "give --task or --user"),
        (["send", "hi", "--task", "t", "--user", "u"], 2, "not both"),
        (["send", "hi", "--task", "t", "--network", "nowhere"], 1, "no exchange aui.jobs.nowhere"),
        (["tail", "with.dot"], 2, "must match"),
        (["explain", "nonsense"], 2, "nothing is known"),
        (["run"], 78, "AUI_NETWORK_API_KEY: is missing"),
        (["nonsense"], 2, "No such command"),
    ],
)
async def test_a_mistake_is_told_in_a_line(
    amqp_url: str, words: list[str], code: int, told: str
) -> None:
    """The exit code says which kind it is, and no traceback shows."""
    exit_code, out, errors = await finished(*words, env=environment(amqp_url))

    assert exit_code == code
    assert told in errors
    assert "Traceback" not in out + errors


async def test_explain_prints_the_verdict_table(amqp_url: str) -> None:
    """All of it, or the rows of one code."""
    _, everything, _ = await finished("explain", env=environment(amqp_url))
    _, row, _ = await finished("explain", "1011", env=environment(amqp_url))

    assert "policy_violation" in everything
    assert "internal_error" in row
    assert "policy_violation" not in row


async def test_topology_prints_definitions_that_a_broker_takes(amqp_url: str) -> None:
    """As JSON, complete for the networks asked for."""
    words = ["topology", "--definitions", "--network", "acme"]
    code, out, _ = await finished(*words, env=environment(amqp_url, WORKER_PARTITIONS="4"))

    definitions = json.loads(out)
    names = {queue["name"] for queue in definitions["queues"]}
    assert code == 0
    assert {f"aui.jobs.acme.p0{n}" for n in range(4)} <= names
    assert len(definitions["bindings"]) == 256 + 3


async def test_the_sandbox_says_where_it_is_and_stops_on_sigterm(amqp_url: str) -> None:
    """Its first lines are what one has to export."""
    sandbox = await start("sandbox", "--port", "0", "--api-key", "KEY", env=environment(amqp_url))
    assert sandbox.stdout is not None
    lines = await said(sandbox.stdout, "AUI_NETWORK_API_KEY=KEY")
    sandbox.terminate()
    _, errors = await sandbox.communicate()

    assert "AUI_BASE_URL=http://127.0.0.1:" in lines
    assert sandbox.returncode == 0
    assert errors == b""


async def test_the_demo_shows_answers_a_recovery_and_a_dead_letter(amqp_url: str) -> None:
    """It ends by itself, with a summary."""
    code, out, errors = await finished("demo", env=environment(amqp_url))

    assert (code, errors) == (0, "")
    assert out.count("✓") == 3
    assert out.count("↻") == 2
    assert out.count("✗ bad_request") == 1
    assert "summary" in out


async def test_the_demo_asks_what_one_wants(amqp_url: str) -> None:
    """A question of one's own takes the place of the tour."""
    code, out, _ = await finished("demo", "a toaster, please", env=environment(amqp_url))

    assert code == 0
    assert "a toaster, please" in out
    assert out.count("✓") == 1


async def test_a_live_demo_needs_a_key(amqp_url: str) -> None:
    """Without one it says which variable is missing."""
    code, _, errors = await finished("demo", "--live", env=environment(amqp_url))

    assert code == 78
    assert "AUI_NETWORK_API_KEY" in errors


async def test_a_live_demo_talks_to_the_aui_it_is_pointed_to(
    amqp_url: str, sandbox: Sandbox
) -> None:
    """With AUI_BASE_URL and a key it creates a task there and asks."""
    env = environment(amqp_url, sandbox, AUI_NETWORK_API_KEY=CANARY)
    before = len(sandbox.store.user_messages())

    code, out, errors = await finished("demo", "--live", "a microwave", env=env)

    assert code == 0
    assert sandbox.base_url in out
    assert len(sandbox.store.user_messages()) == before + 1
    assert CANARY not in out + errors


async def test_a_worker_run_by_hand_answers_what_is_sent_by_hand(
    at: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """`run` in one terminal, `send` in another, for a network of one's own."""
    env = serving(at.network, amqp_url, sandbox)
    task = sandbox.create_task("user")
    async with running("run", env=env):
        hub = await at.hub()
        words = ["send", "hi", "--task", task.id, "--network", at.network]
        _, job, _ = await finished(*words, env=env)
        final = await hub.ended(job.strip())

    assert final.type == "message.completed"


async def test_tail_of_everything_names_the_tasks(
    default: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Two conversations at once can be told apart."""
    tasks = [sandbox.create_task("user") for _ in range(2)]
    tail = await start("tail", env=environment(amqp_url))
    assert tail.stdout is not None
    try:
        await said(tail.stdout, "listening")
        await asyncio.gather(*(default.say(task.id, "hello") for task in tasks))
        shown = await said(tail.stdout, "✓")
        while not all(task.id in shown for task in tasks):
            shown += await said(tail.stdout, "✓")
    finally:
        tail.terminate()
        await tail.communicate()

    assert shown.count("✓") == 2
