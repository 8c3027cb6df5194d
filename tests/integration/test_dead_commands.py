"""Dead letters are looked at, sent again, corrected and dropped, with a worker and a sandbox."""

import asyncio
import json
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest
from broker import Broker
from dead_desk import Clerk, refuse_all
from fault_proxy import FaultProxy
from harness import Bench, settings, working

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

KILLED_BEFORE = """
import os, runpy, signal, sys
from worker.amqp.dead_queue import Holding

left = int(sys.argv.pop(1))
remove = Holding.remove

async def killed(self, tag):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)  # what was published is confirmed, and not yet acked
    await remove(self, tag)

Holding.remove = killed
runpy.run_module("worker", run_name="__main__")
"""


@pytest.fixture
async def clerk(at: Bench, amqp_url: str) -> AsyncIterator[Clerk]:
    clerk = Clerk(at, amqp_url)
    yield clerk
    await clerk.run("drop", "--network", clerk.network, "--yes")


async def killed(clerk: Clerk, after: int, *words: str) -> None:
    """Run a command that is killed when it takes out a letter, after so many others."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED_BEFORE, str(after), "dead", *words, env=clerk.env
    )
    assert await process.wait() == -signal.SIGKILL


async def test_what_died_is_listed_and_shown(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """By reason, with a sample; then all of one letter, and what to do about it."""
    async with working(settings(amqp_url, sandbox, at.network)):
        hub, dead = await at.hub(), await at.dead()
        task = sandbox.create_task("user")
        text = "!1008 after=3 status=400 | \x1b[2Ja microwave"
        for job in ("first", "second"):
            await hub.ended(await at.say(task.id, text, message_id=job, correlation_id="c-1"))
        await at.publish(b"{}", message_id="third")
        await dead.until(lambda letters: len(letters) == 3)

    groups = json.loads(await clerk.done("list", "--json", "--network", at.network))
    table = await clerk.done("list", "--network", at.network)
    sheet = await clerk.done("show", "second")

    assert [(group["reason"], group["count"]) for group in groups] == [
        ("bad_request", 2),
        ("invalid_job", 1),
    ]
    assert groups[0]["sample"]["job"] == "second"
    assert "bad_request" in table
    assert "task_id: is missing" in table
    assert "3 letters; the oldest is deleted in 13 d" in table
    for told in (task.id, "c-1", "close code  1008", "streaming", "what to do", "\x1b"):
        assert (told in sheet) == (told != "\x1b")
    assert "a microwave" in sheet
    assert "aui-worker dead replay second" in sheet


async def test_what_is_sent_again_is_answered_in_the_order_of_its_conversation(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """The cause is gone; attempts are numbered behind those made, and the letters are gone."""
    tasks = [sandbox.create_task("user") for _ in range(2)]
    says = [(task.id, f"question {number}") for number in range(3) for task in tasks]
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        jobs = await refuse_all(sandbox, at, hub, says)
        failed = {job: hub.terminals(job)[0].headers["aui-attempt"] for job in jobs}
        assert sorted(await clerk.names()) == sorted(jobs)

        planned = await clerk.done("replay", "--network", at.network, "--dry-run")
        assert "6 would be replayed" in planned
        assert f"aui.jobs.{at.network}" in planned
        assert sorted(await clerk.names()) == sorted(jobs)
        assert "6 replayed" in await clerk.done("replay", "--network", at.network)
        await hub.until(lambda _: all(len(hub.terminals(job)) == 2 for job in jobs))

    assert await clerk.names() == []
    for task in tasks:
        said = [message.text for message in sandbox.store.user_messages(task.id)]
        assert said == [text for task_id, text in says if task_id == task.id]
    for job in jobs:
        again = hub.terminals(job)[1]
        assert again.type == "message.completed"
        assert again.headers["aui-attempt"] > failed[job]


async def test_a_replay_that_is_killed_loses_nothing_and_asks_nobody_twice(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """Killed after it had sent on more than it had taken out; the worker is a new one by then."""
    task = sandbox.create_task("user")
    says = [(task.id, f"question {number}") for number in range(3)]
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        jobs = await refuse_all(sandbox, at, hub, says)
        await killed(clerk, 1, "replay", "--network", at.network)
        await hub.until(lambda _: all(len(hub.terminals(job)) == 2 for job in jobs[:2]))
    assert await clerk.names() == jobs[1:]

    async with working(settings(amqp_url, sandbox, at.network)):
        assert "2 replayed" in await clerk.done("replay", "--network", at.network)
        await hub.until(lambda _: len(hub.terminals(jobs[1])) == 3)
        await hub.until(lambda _: len(hub.terminals(jobs[2])) == 2)

    assert await clerk.names() == []
    said = [message.text for message in sandbox.store.user_messages(task.id)]
    assert said == [text for _, text in says]
    first, second = hub.terminals(jobs[1])[1:]
    assert second.headers["aui-recovered"] is True
    assert second.body == first.body
    assert second.headers["aui-attempt"] > first.headers["aui-attempt"]


async def test_a_replay_whose_delivery_is_lost_is_answered_all_the_same(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """It waits behind a long turn when the link is cut; the worker remembers its first failure."""
    task = sandbox.create_task("user")
    async with (
        FaultProxy(amqp_url) as proxy,
        working(settings(proxy.url, sandbox, at.network)),
    ):
        hub = await at.hub()
        (job,) = await refuse_all(sandbox, at, hub, [(task.id, "a microwave")])
        long = await at.say(task.id, "!load updates=40 interval=0.1 chunk=5")
        await hub.until(lambda _: len(hub.texts(long)) >= 3)
        await clerk.done("replay", job)
        proxy.cut()
        await hub.until(lambda _: len(hub.terminals(job)) == 2)

    assert hub.terminals(job)[1].type == "message.completed"


async def test_a_letter_whose_job_was_answered_all_the_same_is_not_asked_again(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """AUI closed with 1008, and answered in its history; nobody remembers the job."""
    task = sandbox.create_task("user")
    text = "!1008 after=2 answered=yes | a microwave"
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        job = await at.say(task.id, text)
        await hub.ended(job)
    async with working(settings(amqp_url, sandbox, at.network)):
        await clerk.done("replay", job)
        await hub.until(lambda _: len(hub.terminals(job)) == 2)

    final = hub.terminals(job)[1]
    assert final.headers["aui-recovered"] is True
    assert len(sandbox.store.user_messages(task.id)) == 1


async def test_what_was_no_job_is_sent_again_after_an_edit(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """Not before; and an edit that is none is refused, naming the field."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub, dead = await at.hub(), await at.dead()
        await at.say(task.id, " ", message_id="empty")
        await dead.until(lambda letters: len(letters) == 1)

        code, out, errors = await clerk.run("replay", "empty")
        assert (code, out) == (1, "0 replayed, 1 left\n")
        assert "edit it first" in errors
        code, _, errors = await clerk.run("edit", "empty", "--text", "")
        assert code == 1
        assert "not edited: text: must not be empty" in errors

        assert "edited empty" in await clerk.done("edit", "empty", "--text", "a tost…er")
        (letter,) = await clerk.letters()
        assert letter["edited_at"]
        assert "1 replayed" in await clerk.done("replay", "empty")
        await hub.ended("empty")

    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["a tost…er"]
    assert await clerk.names() == []


async def test_an_editor_is_for_people(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk, tmp_path: Path
) -> None:
    """It gets the body in a file, and what it leaves there is the job, sent at once if asked."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        await refuse_all(sandbox, at, hub, [(task.id, "a toster")])
        (name,) = await clerk.names()
        clerk.env["EDITOR"] = "sed -i s/toster/toaster/"
        assert "1 replayed" in await clerk.done("edit", name, "--replay")
        await hub.until(lambda _: len(hub.terminals(name)) == 2)
        code, _, errors = await clerk.run("edit", name)

    assert [m.text for m in sandbox.store.user_messages(task.id)] == ["a toaster"]
    assert (code, errors) == (1, f"aui-worker: no letter of job {name}\n")


async def test_an_edit_that_is_killed_leaves_one_letter_the_edited_one(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """It was published and the old one not yet taken out: the newer version counts, once."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        (job, _) = await refuse_all(sandbox, at, hub, [(task.id, "one"), (task.id, "two")])
        await killed(clerk, 0, "edit", job, "--text", "another")

        letters = await clerk.letters()
        assert [bool(letter["edited_at"]) for letter in letters] == [True, False]
        assert "2 replayed" in await clerk.done("replay", "--network", at.network)
        await hub.until(lambda _: len(hub.terminals(job)) == 2)

    assert sandbox.store.user_messages(task.id)[0].text == "another"
    assert await clerk.names() == []


async def test_letters_are_exported_dropped_and_brought_back(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk, tmp_path: Path
) -> None:
    """What comes back is what was there; dropping asks first."""
    task = sandbox.create_task("user")
    file, again = tmp_path / "letters", tmp_path / "again"
    headers = {"raw": bytearray(b"\xff\x00"), "table": {"deep": [1, 2.5, True, None]}}
    async with working(settings(amqp_url, sandbox, at.network)):
        hub, dead = await at.hub(), await at.dead()
        await hub.ended(await at.say(task.id, "!400", message_id="one", headers=headers))
        await at.publish(b"\xff\xfe", message_id="two")
        await dead.until(lambda letters: len(letters) == 2)
    select = ("--network", at.network)

    await clerk.done("export", str(file), *select)
    code, _, errors = await clerk.run("export", str(file), *select)
    assert (code, "is there already" in errors) == (1, True)
    code, out, _ = await clerk.run("drop", *select)
    assert (code, "Drop 2 for good (1 bad_request, 1 invalid_job)?" in out) == (1, True)
    assert "1 dropped" in await clerk.done("drop", "two", "--yes")
    assert await clerk.names() == ["one"]
    for _ in range(2):
        assert "2 imported" in await clerk.done("import", str(file))
    await clerk.done("export", str(again), *select)

    assert file.stat().st_mode & 0o777 == 0o600
    assert again.read_text() == file.read_text()
    assert "2 dropped" in await clerk.done("drop", *select, "--yes")
    assert await clerk.names() == []


async def test_two_letters_of_one_job_are_told_apart(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """By a number; without one both are meant."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        for text in ("!400 | one", "!400 | two"):
            await at.say(task.id, text, message_id="same")
        await hub.until(lambda _: len(hub.terminals("same")) == 2)

    assert await clerk.names() == ["same#1", "same#2"]
    code, _, errors = await clerk.run("edit", "same", "--text", "x")
    assert (code, "name one: same#1, same#2" in errors) == (2, True)
    assert (await clerk.done("show", "same")).count("what was said") == 2
    assert "two" in await clerk.done("show", "same#2")
    assert "1 dropped" in await clerk.done("drop", "same#1", "--yes")
    assert "two" in await clerk.done("show", "same")
    code, _, errors = await clerk.run("show", "nobody")
    assert (code, errors) == (1, "aui-worker: no letter of job nobody\n")


async def test_what_has_no_way_back_stays(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """Its network is gone: told, and kept; what came behind it in its conversation, too."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        says = [(task.id, "one"), (task.id, "two")]
        jobs = await refuse_all(sandbox, at, hub, says)
    await (await at.another()).channel.exchange_delete(f"aui.jobs.{at.network}")

    code, out, errors = await clerk.run("replay", "--network", at.network)

    assert (code, out) == (1, "0 replayed, 2 left\n")
    assert f"left {jobs[0]}: there is no exchange aui.jobs.{at.network}" in errors
    assert f"left {jobs[1]}: one of its conversation" in errors
    assert await clerk.names() == jobs


async def test_a_second_one_is_told_who_is_in_the_way(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk
) -> None:
    """A consumer of another program holds the letters: nothing is done, and nothing waits."""
    async with working(settings(amqp_url, sandbox, at.network)):
        await at.hub()
    channel = (await at.another()).channel
    queue = await channel.get_queue("aui.dead", ensure=False)

    async def keep(_: aio_pika.abc.AbstractIncomingMessage) -> None:
        """Neither ack nor give back."""

    await queue.consume(keep)
    code, _, errors = await clerk.run("list")
    await channel.close()

    assert code == 1
    assert "somebody else holds the letters" in errors


async def test_who_may_only_read_can_look(
    at: Bench, amqp_url: str, sandbox: Sandbox, clerk: Clerk, broker: Broker
) -> None:
    """With no right but to read the queue; what takes another right is told, and left."""
    task = sandbox.create_task("user")
    async with working(settings(amqp_url, sandbox, at.network)):
        hub = await at.hub()
        (job,) = await refuse_all(sandbox, at, hub, [(task.id, "a microwave")])
    name = f"u{uuid.uuid4().hex[:8]}"
    broker.ctl("add_user", name, name)
    broker.ctl("set_permissions", name, "^$", "^$", r"^aui\.dead$")
    where = urlsplit(amqp_url)
    reader = Clerk(at, f"amqp://{name}:{name}@{where.hostname}:{where.port}{where.path}")

    assert await reader.names() == [job]
    code, _, errors = await reader.run("replay", job)
    assert (code, "may not write to exchange aui.jobs" in errors) == (1, True)
    code, _, errors = await reader.run("edit", job, "--text", "a toaster")
    assert (code, "may not write to exchange aui.dead" in errors) == (1, True)
    assert await clerk.names() == [job]
    broker.ctl("delete_user", name)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["replay"], "say which"),
        (["drop", "--yes"], "say which"),
        (["replay", "--all", "--rate", "fast"], "must be like 5"),
        (["edit", "job", "--text", "a", "--body", "/dev/null"], "not both"),
    ],
)
async def test_a_slip_of_the_finger_does_nothing(clerk: Clerk, words: list[str], told: str) -> None:
    code, _, errors = await clerk.run(*words)

    assert (code, told in errors) == (2, True)
