"""``aui-worker check``: each thing that is wrong is one line, and looking changes nothing."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from broker import Broker
from harness import CANARY, PARTITIONS, Bench, settings, working
from programs import environment, finished, serving

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ALL = ".*"


async def checked(env: dict[str, str], *words: str) -> tuple[int, list[str]]:
    """Run it; return its exit code and what it printed, in which no secret may be."""
    code, out, errors = await finished("check", *words, env=env)
    assert not errors
    assert CANARY not in out
    return code, out.splitlines()


def wrong(lines: list[str]) -> list[str]:
    """Return the lines that are not ok, but for those that only follow."""
    return [line for line in lines if not line.startswith(("ok ", "skipped "))]


@pytest.fixture
async def stands(at: Bench, amqp_url: str, sandbox: Sandbox) -> Bench:
    """Lend a bench whose network's queues stand, and nobody works there."""
    async with working(settings(amqp_url, sandbox, at.network)):
        pass
    return at


@pytest.fixture
def user(broker: Broker) -> Iterator[Callable[..., str]]:
    """Lend what makes a user of the broker's, with its rights; returns the broker's URL for it."""
    name = f"u{uuid.uuid4().hex[:8]}"
    where = urlsplit(broker.url)

    def with_rights(configure: str = ALL, write: str = ALL, read: str = ALL) -> str:
        broker.ctl("add_user", name, name)
        broker.ctl("set_permissions", name, configure, write, read)
        return f"amqp://{name}:{name}@{where.hostname}:{where.port}{where.path}"

    yield with_rights
    broker.ctl("delete_user", name)


async def test_all_is_well_beside_a_worker(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """A line for each thing, the same ones for whoever reads them with a program."""
    env = serving(at.network, amqp_url, sandbox)
    async with working(settings(amqp_url, sandbox, at.network)):
        code, lines = await checked(env)
        _, listed = await checked(env, "--json")

    broker, *others = lines
    read = "may be read (404 Task not found, of a made-up task)"
    assert code == 0
    assert broker.startswith("ok       broker amqp://guest@")
    assert ": RabbitMQ " in broker
    assert others == [
        "ok       rights at the broker: all that a worker needs",
        "ok       topology of all networks: all of it stands",
        f"ok       jobs of network {at.network}: 3 queues, 3 of them consumed, 0 jobs waiting",
        "ok       publishing: all that a worker needs",
        f"ok       AUI key of network {at.network}: {sandbox.base_url} takes it",
        f"ok       AUI history of network {at.network}: {read}",
        f"ok       AUI socket of network {at.network}: opens, and stays open",
    ]
    told = json.loads("\n".join(listed))
    assert [f"{one['state']:<9}{one['what']}: {one['said']}" for one in told] == lines


async def test_looking_changes_nothing(
    stands: Bench, amqp_url: str, sandbox: Sandbox, broker: Broker
) -> None:
    """No object of the broker's is another afterwards, nobody hears a word, no job is moved."""
    task = sandbox.create_task("user")
    hub, dead = await stands.listen("aui.replies", "#"), await stands.listen("aui.dead", "#")
    job = await stands.say(task.id, "a microwave")
    before = await inventory(broker), known(sandbox)
    new = {f"AUI_NETWORKS__{stands.network.upper()}B__API_KEY": CANARY}

    for mode in ("declare", "verify"):
        await checked(serving(stands.network, amqp_url, sandbox, WORKER_TOPOLOGY=mode, **new))

    assert (await inventory(broker), known(sandbox)) == before
    assert not hub.messages + dead.messages
    async with working(settings(amqp_url, sandbox, stands.network)):
        final = await hub.ended(job)
    assert final.headers["aui-attempt"] == 1  # it had been delivered to nobody


async def test_what_a_worker_would_make_is_said(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """Where it makes things that is well; where it only verifies it is not."""
    env = serving(at.network, amqp_url, sandbox)

    code, lines = await checked(env)
    verified, told = await checked(env | {"WORKER_TOPOLOGY": "verify"})

    assert code == 0
    assert f"jobs of network {at.network}: not there yet, made when a worker starts" in lines[3]
    assert verified == 1
    (line,) = [line for line in wrong(told) if at.network in line]
    assert f"not there: exchange aui.jobs.{at.network}, " in line
    assert "aui-worker topology --definitions" in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("guest:guest@", "guest:SEKRET@"), "login: the broker refused the user name or password"),
        (("/end", "/nowhere"), "virtual host: the broker refused 'nowhere'"),
    ],
)
async def test_a_broker_that_lets_nobody_in(
    amqp_url: str, sandbox: Sandbox, change: tuple[str, str], told: str
) -> None:
    """One thing is wrong; AUI is looked at all the same."""
    url = f"{amqp_url.rstrip('/')}/end".replace(*change).removesuffix("/end")
    env = environment(url, sandbox, AUI_NETWORK_API_KEY=CANARY)

    code, lines = await checked(env)

    (line,) = wrong(lines)
    assert code == 1
    assert told in line
    assert "(AMQP_URL)" in line
    assert "SEKRET" not in line
    assert "ok       AUI socket of network default: opens, and stays open" in lines


async def test_a_broker_that_is_not_there(sandbox: Sandbox) -> None:
    """It is said at once, and not tried again."""
    url = "amqp://guest:SEKRET@127.0.0.1:9/"
    code, lines = await checked(environment(url, sandbox, AUI_NETWORK_API_KEY=CANARY))

    assert code == 1
    (line,) = wrong(lines)
    where = "FAILED   broker amqp://guest@127.0.0.1:9/"
    assert line == f"{where}: connection: refused: nobody listens there (AMQP_URL)"


async def test_rights_that_lack_are_named(
    stands: Bench, sandbox: Sandbox, user: Callable[..., str]
) -> None:
    """By what each is a right to do, and to what."""
    url = user(
        configure=r"^(?!aui\.(dead$|task\.)).*$",
        write=r"^(?!(aui\.replies|amq\.default)$).*$",
        read=r"^(?!aui\.(replies|dropped)$).*$",
    )

    code, lines = await checked(serving(stands.network, url, sandbox))

    rights, publishing = wrong(lines)
    assert code == 1
    assert named(rights, "rights at the broker") == [
        "configure exchange aui.dead",
        "configure queue aui.dead",
        "read exchange aui.dropped",
        "configure exchange aui.task.check",
        "read exchange aui.replies",
        "read queue aui.dropped",
    ]
    assert named(publishing, "publishing") == [
        "write exchange aui.replies",
        "write exchange amq.default",
    ]


async def test_leases_have_names_of_the_worker(
    stands: Bench, sandbox: Sandbox, user: Callable[..., str]
) -> None:
    """A right may be one for the leases of some workers alone."""
    url = user(configure=r"^(?!aui\.lease\.).*$|^aui\.lease\.mine\..*$")
    env = serving(stands.network, url, sandbox)

    _, others = await checked(env | {"WORKER_ID": "yours"})
    code, lines = await checked(env | {"WORKER_ID": "mine"})

    (line,) = wrong(others)
    assert "configure queue aui.lease.yours." in line
    assert (code, wrong(lines)) == (0, [])


async def test_the_least_rights_are_enough(
    stands: Bench, sandbox: Sandbox, user: Callable[..., str]
) -> None:
    """Those of a worker that declares no more than exchanges and leases of tasks."""
    jobs = rf"aui\.jobs\.{stands.network}"
    url = user(
        configure=r"^aui\.(task|lease)\..+$",
        write=rf"^(amq\.default|aui\.(replies|dead|(task|lease)\..+)|{jobs})$",
        read=rf"^(aui\.(replies|dropped|task\..+)|{jobs}\.(p\d+|unslotted))$",
    )

    env = serving(stands.network, url, sandbox, WORKER_TOPOLOGY="verify")
    code, lines = await checked(env)

    assert (code, wrong(lines)) == (0, [])
    assert "not compared, for want of the right to configure them" in lines[3]
    async with working(settings(url, sandbox, stands.network, topology="verify")):
        hub = await stands.hub()
        final = await hub.ended(await stands.say(sandbox.create_task("user").id, "hello"))
    assert final.type == "message.completed"


async def test_a_queue_of_another_kind_is_named(at: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """With what it is, and what it should be."""
    for number in range(PARTITIONS):
        await at.channel.declare_queue(f"aui.jobs.{at.network}.p{number:02d}", durable=True)

    code, lines = await checked(serving(at.network, amqp_url, sandbox))

    (line,) = wrong(lines)
    assert code == 1
    assert f"jobs of network {at.network}: stands otherwise" in line
    assert "inequivalent arg" in line
    assert f"queue 'aui.jobs.{at.network}.p00'" in line


async def test_another_number_of_partitions_is_told(
    stands: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """More or fewer."""
    for number in ("1", "4"):
        env = serving(stands.network, amqp_url, sandbox, WORKER_PARTITIONS=number)
        code, lines = await checked(env)

        (line,) = wrong(lines)
        assert code == 1
        assert f"{number} partitions are set, but the broker holds {PARTITIONS}" in line
        assert "WORKER_PARTITIONS" in line


async def test_a_wrong_key_is_told_by_its_variable(
    stands: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """Once: what needs the key is not tried after that. Other networks are."""
    bad = f"{stands.network}b"
    env = serving(stands.network, amqp_url, sandbox)
    code, lines = await checked(env | {f"AUI_NETWORKS__{bad.upper()}__API_KEY": "SEKRET_KEY"})

    (line,) = wrong(lines)
    assert code == 1
    assert line.startswith(f"FAILED   AUI key of network {bad}: 401 ")
    assert line.endswith(f"check AUI_NETWORKS__{bad.upper()}__API_KEY")
    assert "SEKRET" not in "".join(lines)
    assert f"ok       AUI socket of network {stands.network}: opens, and stays open" in lines


async def test_an_aui_that_is_not_there(stands: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    """The variable that says where it should be is named."""
    env = serving(stands.network, amqp_url, sandbox)
    await sandbox.stop()
    try:
        code, lines = await checked(env)
    finally:
        await sandbox.start()

    (line,) = wrong(lines)
    assert code == 1
    assert f"AUI key of network {stands.network}: no connection: " in line
    assert "check AUI_BASE_URL" in line


async def test_a_socket_that_is_somewhere_else(
    stands: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    """REST and WebSocket are two ways, and either can be wrong."""
    elsewhere = f"{sandbox.base_url.replace('http', 'ws')}/elsewhere"
    env = serving(stands.network, amqp_url, sandbox, AUI_WS_URL=elsewhere)

    code, lines = await checked(env)

    (line,) = wrong(lines)
    assert code == 1
    assert line.startswith(f"FAILED   AUI socket of network {stands.network}: 403 ")
    assert "AUI_WS_URL" in line


async def test_a_broker_that_is_short_of_memory(
    stands: Bench, amqp_url: str, sandbox: Sandbox, broker: Broker
) -> None:
    """It would take no answer, and says nothing of it to who only looks."""
    await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.0001")
    try:
        code, lines = await checked(serving(stands.network, amqp_url, sandbox))
    finally:
        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.6")

    (line,) = wrong(lines)
    assert code == 1
    assert line.startswith("FAILED   publishing: the broker takes nothing now")


async def test_a_wrong_setting_is_told_before_anything_is_tried(amqp_url: str) -> None:
    """As by every command."""
    env = environment(amqp_url, WORKER_PARTITIONS="7", AUI_NETWORK_API_KEY=CANARY)
    code, out, errors = await finished("check", env=env)

    assert (code, out) == (78, "")
    assert errors == "aui-worker: WORKER_PARTITIONS: must be a power of two\n"


def named(line: str, what: str) -> list[str]:
    """Return the rights that a line names, without what is made up of them."""
    told = line.removeprefix(f"FAILED   {what}: the user may not ")
    assert told.endswith(" (rabbitmqctl set_permissions)")
    return [right.partition("-")[0] for right in told.rpartition(" (")[0].split(", ")]


def known(sandbox: Sandbox) -> tuple[int, int]:
    """Count what the sandbox remembers: tasks and messages."""
    return len(sandbox.store.tasks), len(sandbox.store.user_messages())


async def inventory(broker: Broker) -> list[list[str]]:
    """List what stands on the broker, and who consumes."""
    commands = (
        ("list_queues", "name", "type", "arguments"),
        ("list_exchanges", "name", "type", "arguments"),
        ("list_bindings",),
        ("list_consumers", "queue_name", "consumer_tag"),
    )
    told = [await asyncio.to_thread(broker.ctl, *words) for words in commands]
    return [sorted(lines.splitlines()) for lines in told]
