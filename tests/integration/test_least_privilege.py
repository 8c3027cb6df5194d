"""Each user may do what it has to, and nothing else, on a real RabbitMQ.

The users are those that ``aui-worker topology --definitions --users`` prints.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from aiormq.abc import AbstractChannel
from broker import Broker
from harness import CANARY, PATIENCE, Inbox, settings, working
from programs import environment, finished
from vhosts import House, house

from worker.amqp.asking import Ask, refusals
from worker.amqp.reach import reached
from worker.client import Client
from worker.core.permissions import User, users
from worker.core.slots import in_place
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

NETWORKS = ("default", "acme")
WORKER, PRODUCER, BOT = "aui-worker", "aui-producer-acme", "bot-acme-sms"
LOCKED = "bot-locked"
KEYS: dict[str, Any] = {"AUI_NETWORK_API_KEY": CANARY, "AUI_NETWORKS__ACME__API_KEY": CANARY}
SMS = {"aui-channel": "sms"}


@pytest.fixture(scope="module")
async def there(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Lend a virtual host with all users of two networks, and one bot."""
    passwords = tmp_path_factory.mktemp("passwords")
    bots = ["acme-sms=acme.sms", "locked=acme"]
    async with house(broker, NETWORKS, bots, passwords, locked=[LOCKED]) as lent:
        yield lent


@pytest.fixture
async def served(there: House, sandbox: Sandbox) -> AsyncIterator[None]:
    """Have a worker serve both networks, which may make nothing but task exchanges and leases."""
    async with serving(there, sandbox):
        yield
    sandbox.clear_faults()


@asynccontextmanager
async def serving(there: House, sandbox: Sandbox) -> AsyncIterator[None]:
    async with working(settings(there.url(WORKER), sandbox, *NETWORKS, topology="verify")):
        yield


@asynccontextmanager
async def listening(
    there: House, user: str, queue: str, *bound: tuple[str, str]
) -> AsyncIterator[Inbox]:
    """Collect what comes into a queue of a user's own."""
    async with there.bench(user, "acme") as bench:
        inbox = Inbox()
        declared = await bench.channel.declare_queue(queue, auto_delete=True)
        for exchange, key in bound:
            await declared.bind(exchange, key)
        await declared.consume(inbox.take)
        yield inbox


async def test_a_bot_talks_by_user_and_hears_its_channel(
    served: None, there: House, sandbox: Sandbox
) -> None:
    """A task is made, the job goes on to its slot, the ends come, and none of another channel."""
    heard = ("aui.replies", "acme.sms.*.final"), ("aui.replies", "acme.sms.*.created")
    async with (
        listening(there, BOT, "sub.acme-sms", *heard) as inbox,
        there.bench(BOT, "acme") as bench,
    ):
        unheard = await bench.publish({"user_id": "user-1", "text": "a microwave"})
        job = await bench.publish({"user_id": "user-2", "text": "a toaster"}, headers=SMS)
        final = await inbox.ended(job)

    assert final.routing_key == f"acme.sms.{final.headers['aui-task-id']}.final"
    assert [message.type for message in inbox.of(job)] == ["task.created", "message.completed"]
    assert not inbox.of(unheard)


async def test_a_web_backend_hears_a_task_by_its_exchange(
    served: None, there: House, sandbox: Sandbox
) -> None:
    """The worker has leased it; with a job whose key is no slot, which is forwarded."""
    task = sandbox.create_task("user")
    exchange = f"aui.task.{task.id}"
    wrong = next(slot for slot in ("00", "ff") if not in_place(task.id, slot, 2))
    async with there.bench("web", "acme") as bench:
        async with listening(
            there, "web", "sub.web.1", ("aui.replies", f"acme.*.{task.id}.*")
        ) as hub:
            await hub.ended(await bench.say(task.id, "a microwave", key=task.id))
        async with listening(there, "web", "sub.web.2", (exchange, "#")) as inbox:
            jobs = [await bench.say(task.id, f"message {n}", key=wrong) for n in range(2)]
            for job in jobs:
                await inbox.ended(job)

    assert all(inbox.texts(job) for job in jobs)
    said = [message.text for message in sandbox.store.user_messages(task.id)]
    assert said == ["a microwave", "message 0", "message 1"]


@pytest.mark.parametrize("network", NETWORKS)
async def test_a_producer_needs_no_queue_to_be_answered(
    served: None, there: House, sandbox: Sandbox, network: str
) -> None:
    """Direct reply-to asks for no right at all; each network has a producer of its own."""
    task = sandbox.create_task("user")
    answers = asyncio.Queue[tuple[str | None, str | None]]()

    async def take(message: AbstractIncomingMessage) -> None:
        await answers.put((message.type, message.correlation_id))

    reply_to = "amq.rabbitmq.reply-to"
    async with there.bench(f"aui-producer-{network}", network) as bench:
        direct = await bench.channel.get_queue(reply_to, ensure=False)
        await direct.consume(take, no_ack=True)
        asked = {"text": "a microwave", "task_id": task.id}
        wanted = {
            ("message.completed", await bench.publish(asked, reply_to=reply_to)),
            (
                "task.listed",
                await bench.publish({"user_id": "user"}, type="task.list", reply_to=reply_to),
            ),
        }
        async with asyncio.timeout(PATIENCE):
            while wanted:
                wanted.discard(await answers.get())


async def test_the_typed_client_works_as_bot_and_as_web(
    served: None, there: House, sandbox: Sandbox
) -> None:
    """Its own queues included."""
    task = sandbox.create_task("user")
    async with Client(there.url(BOT), "acme", "sms") as aui:
        async with aui.subscribe("acme.sms.*.final", queue="sub.acme-sms.finals") as replies:
            job = await aui.send("a microwave", task_id=task.id)
            async for reply in replies:
                await reply.ack()
                break
        first = await aui.ask("a microwave", user_id="user-3", timeout=PATIENCE)
    async with Client(there.url("web"), "acme", "web") as aui:
        final = await aui.ask("a toaster", task_id=task.id, timeout=PATIENCE)

    assert reply.job_id == job
    assert first.text
    assert final.task_id == task.id


async def test_letters_and_what_was_dropped_or_not_claimed_are_kept(
    there: House, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listens: the ends are in aui.unclaimed, the letters are sent again by the operator."""
    task = sandbox.create_task("user")
    async with there.bench(PRODUCER, "acme") as bench:
        expired = await bench.say(task.id, "too late", expiration=0)
        async with serving(there, sandbox), there.bench("aui-operator", "acme") as office:
            refused = await bench.say(task.id, "!400")
            answered = await bench.say(task.id, "a microwave")
            inbox = Inbox()
            unclaimed = await office.channel.get_queue("aui.unclaimed", ensure=False)
            await unclaimed.consume(inbox.take)
            for job in (expired, refused, answered):
                await inbox.ended(job)
            env = environment(there.url("aui-operator"))
            listed = await finished("dead", "list", "--json", "--network", "acme", env=env)
            sent = await finished("dead", "replay", refused, env=env)
            await inbox.until(lambda _: len(inbox.terminals(refused)) == 2)

    assert {group["reason"] for group in json.loads(listed[1])} == {"expired", "bad_request"}
    assert sent[0] == 0
    assert there.free_of_secrets(caplog.text + "".join(map(str, listed + sent)))


async def test_the_admin_changes_the_number_of_partitions_and_nobody_else(
    there: House, sandbox: Sandbox
) -> None:
    """The operator may look at them, and is told what it lacks if it tries."""
    office, root = (environment(there.url(user), **KEYS) for user in ("aui-operator", "aui-admin"))

    looked = await finished("partitions", env=office)
    tried = await finished("partitions", "--to", "4", env=office)
    done = [await finished("partitions", "--to", number, env=root) for number in ("4", "2")]
    async with serving(there, sandbox):
        pass

    assert looked[0] == 0
    assert "aui.jobs.acme.p01" in looked[1]
    assert tried[0] == 1
    assert "refused" in tried[2]
    assert [code for code, _, _ in done] == [0, 0]
    assert there.free_of_secrets(str((looked, tried, done)))


def checking(there: House, sandbox: Sandbox) -> dict[str, str]:
    """Return the environment of a worker, for the check."""
    more = {"WORKER_TOPOLOGY": "verify", "WORKER_PARTITIONS": "2", "WORKER_ID": "check"}
    return environment(there.url(WORKER), sandbox, **KEYS | more)


async def grant(there: House, user: User, less: Mapping[str, str]) -> None:
    """Give a user its rights, without a part of some."""
    rights = {"configure": user.configure, "write": user.write, "read": user.read}
    assert all(part in rights[right] for right, part in less.items())
    patterns = [pattern.replace(less.get(right, "\0"), "") for right, pattern in rights.items()]
    words = ("-p", there.vhost, user.name, *patterns)
    await asyncio.to_thread(there.broker.ctl, "set_permissions", *words)


def publish(exchange: str, key: str = "00") -> Ask:
    return lambda raw: raw.basic_publish(b"{}", exchange=exchange, routing_key=key)


def consume(queue: str) -> Ask:
    return lambda raw: raw.basic_consume(queue, nothing)


def declare(queue: str) -> Ask:
    return lambda raw: raw.queue_declare(queue, exclusive=True)


def make(exchange: str) -> Ask:
    return lambda raw: raw.exchange_declare(exchange, exchange_type="topic", auto_delete=True)


def delete(queue: str) -> Ask:
    return lambda raw: raw.queue_delete(queue)


def remove(exchange: str) -> Ask:
    return lambda raw: raw.exchange_delete(exchange)


def bind(queue: str, exchange: str, key: str) -> Ask:
    return lambda raw: raw.queue_bind(queue, exchange, key)


def hear(queue: str, key: str) -> Ask:
    """Bind a queue of one's own, which has to be there, to the hub."""

    async def ask(raw: AbstractChannel) -> None:
        await raw.queue_declare(queue, exclusive=True)
        await raw.queue_bind(queue, "aui.replies", key)

    return ask


async def nothing(_: object) -> None:
    """Take nothing."""


MINE = "sub.acme-sms.mine"
FORBIDDEN: dict[str, dict[str, Ask]] = {
    WORKER: {
        "delete a partition": delete("aui.jobs.p00"),
        "delete the letters": delete("aui.dead"),
        "make a queue": declare("aui.jobs.more"),
        "replace the hub": remove("aui.replies"),
        "read the letters": consume("aui.dead"),
        "read what nobody claimed": consume("aui.unclaimed"),
        "serve another network": consume("aui.jobs.globex.p00"),
        "send jobs to another network": publish("aui.jobs.globex"),
        "drop a job": publish("aui.dropped"),
        "publish elsewhere": publish("amq.topic"),
        "have a partition hear the hub": bind("aui.jobs.p00", "aui.replies", "#"),
        "read a subscriber's queue": consume("sub.acme-sms"),
        "make a subscriber's queue": declare("sub.acme-sms"),
    },
    PRODUCER: {
        "send jobs to another network": publish("aui.jobs"),
        "skip the slots": publish("aui.jobs.acme.unslotted"),
        "write into a queue": publish("", "aui.jobs.p00"),
        "forge a reply": publish("aui.replies", "acme.sms.t.final"),
        "forge a letter": publish("aui.dead", "acme.sms.t.expired"),
        "read jobs": consume("aui.jobs.acme.p00"),
        "read letters": consume("aui.dead"),
        "make a queue": declare("sub.aui-producer-acme"),
        "make a queue of a name of the broker's": declare(""),
        "make a task exchange": make("aui.task.t"),
        "make its network's exchange": make("aui.jobs.acme"),
    },
    BOT: {
        "hear everything": hear(MINE, "#"),
        "hear all channels": hear(MINE, "*.*.*.final"),
        "hear another network": hear(MINE, "default.sms.*.final"),
        "hear another channel": hear(MINE, "acme.web.*.final"),
        "hear any channel": hear(MINE, "acme.*.*.final"),
        "hear a task exchange": bind("sub.acme-sms.mine", "aui.task.t", "#"),
        "forge a reply": publish("aui.replies", "acme.sms.t.final"),
        "send jobs to another network": publish("aui.jobs"),
        "write into a queue": publish("", "sub.web.1"),
        "read another bot's queue": consume("sub.acme-smsx"),
        "read the web's queue": consume("sub.web.1"),
        "make another's queue": declare("sub.web.mine"),
        "make a queue of a name of the broker's": declare(""),
        "read jobs": consume("aui.jobs.acme.p00"),
        "read letters": consume("aui.dead"),
    },
    "web": {
        "hear a network that it does not serve": hear("sub.web.mine", "globex.web.*.final"),
        "hear everything": hear("sub.web.mine", "#"),
        "forge a reply": publish("aui.replies", "acme.web.t.final"),
        "forge a reply of a task": publish("aui.task.t", "acme.web.t.final"),
        "remove a task exchange": remove("aui.task.t"),
        "make a task exchange": make("aui.task.t"),
        "write into a queue": publish("", "aui.jobs.p00"),
        "read a bot's queue": consume("sub.acme-sms"),
        "read a client's queue by a short name": consume("sub.aui-client.1"),
        "read jobs": consume("aui.jobs.p00"),
        "read letters": consume("aui.dead"),
    },
    "aui-operator": {
        "read jobs": consume("aui.jobs.p00"),
        "delete the letters": delete("aui.dead"),
        "hear the hub": bind("aui.dead", "aui.replies", "#"),
        "forge a reply": publish("aui.replies", "acme.web.t.final"),
        "write into a queue": publish("", "aui.jobs.p00"),
        "make a queue": declare("aui.more"),
        "read what was dropped": consume("aui.dropped"),
    },
    "aui-admin": {
        "make a subscriber's queue": declare("sub.web.mine"),
        "read a subscriber's queue": consume("sub.acme-sms"),
        "publish elsewhere": publish("amq.topic"),
    },
    "aui-monitor": {
        "read jobs": consume("aui.jobs.p00"),
        "send jobs": publish("aui.jobs"),
        "write into a queue": publish("", "aui.jobs.p00"),
        "make a queue": declare("sub.aui-monitor"),
        "forge a reply": publish("aui.replies", "acme.web.t.final"),
    },
}


GRANTED: dict[str, list[Ask]] = {
    WORKER: [make("aui.task.granted"), declare("aui.lease.test.1"), publish("aui.jobs.acme")],
    PRODUCER: [publish("aui.jobs.acme")],
    BOT: [hear(MINE, "acme.sms.*.final"), hear(MINE, "acme.sms.#"), publish("aui.jobs.acme")],
    "web": [hear("sub.web.mine", "acme.*.t.*"), declare("sub.web.1"), publish("aui.jobs")],
    "aui-operator": [consume("aui.dead"), publish("aui.dead", "acme.sms.t.expired")],
    "aui-admin": [delete("aui.jobs.globex.p00"), make("aui.jobs.globex"), publish("", "aui.x")],
}


@pytest.mark.parametrize("user", FORBIDDEN)
async def test_what_a_user_must_not_do_is_refused(there: House, user: str) -> None:
    """With 403, each of it: not for want of something to do it to."""
    asked = FORBIDDEN[user]
    async with reached("test", there.url(user), PATIENCE) as session:
        answers = await refusals(session, list(asked.values()))

    told = {what: answer and answer.code for what, answer in zip(asked, answers, strict=True)}
    assert told == dict.fromkeys(asked, 403)
    assert there.free_of_secrets(" ".join(map(str, answers)))


@pytest.mark.parametrize("user", GRANTED)
async def test_what_it_may_do_next_to_that_is_granted(there: House, user: str) -> None:
    """So it is the name, or the key, that the others are refused for."""
    async with reached("test", there.url(user), PATIENCE) as session:
        assert await refusals(session, GRANTED[user]) == [None] * len(GRANTED[user])


async def test_no_user_gets_into_another_virtual_host(there: House) -> None:
    """Nor with an empty password, nor as one that has none."""
    for user in there.passwords:
        with pytest.raises(AMQPError):
            await aio_pika.connect(there.url(user).replace(f"/{there.vhost}", "/"))


async def test_a_user_without_a_password_cannot_log_in(there: House) -> None:
    """What is printed without passwords lets nobody in, by no password."""
    for password in ("guest", LOCKED, '""'):
        with pytest.raises(AMQPError):
            await aio_pika.connect(there.url(LOCKED, password))


async def test_the_check_is_green_as_the_worker(there: House, sandbox: Sandbox) -> None:
    """And red for each right that is taken away, by its name."""
    code, out, errors = await finished("check", env=checking(there, sandbox))

    assert (code, errors) == (0, "")
    assert "FAILED" not in out

    (user,) = (user for user in users(NETWORKS) if user.name == WORKER)
    less = {
        "configure": r"|aui\.lease\..+",
        "write": r"aui\.replies|",
        "read": r"aui\.jobs\.acme\.(p[0-9]+|unslotted)",
    }
    await grant(there, user, less)
    try:
        code, out, _ = await finished("check", env=checking(there, sandbox))
    finally:
        await grant(there, user, {})

    rights, publishing = [line for line in out.splitlines() if "the user may not" in line]
    assert code == 1
    assert "configure queue aui.lease.check." in rights
    assert "read queue aui.jobs.acme.p00, read queue aui.jobs.acme.p01" in rights
    assert "may not write exchange aui.replies (" in publishing
    assert there.free_of_secrets(out)
