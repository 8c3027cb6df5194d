"""The blocking client: for threads, for programs that are broken off, and the same as the other."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from anyio import to_thread
from harness import PATIENCE, Bench
from programs import environment

from worker.client import Client as AsyncClient
from worker.client import ClientError, Final, JobFailed, Update
from worker.client.blocking import Client
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

OWN = {"open", "close"}


def test_it_has_all_that_the_other_has_and_takes_the_same() -> None:
    """Whatever is added to one is added to the other."""
    for name, method in inspect.getmembers(AsyncClient, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(Client, name)).parameters
            theirs = inspect.signature(method).parameters
            assert list(ours) == list(theirs), name
            defaults = [parameter.default for parameter in ours.values()]
            assert defaults == [parameter.default for parameter in theirs.values()], name
    constructors = [inspect.signature(each.__init__).parameters for each in (Client, AsyncClient)]
    assert list(constructors[0]) == list(constructors[1])


async def blocked(call: Callable[[], Any]) -> Any:
    """Call it in a thread, as a synchronous program does."""
    return await to_thread.run_sync(call)


async def test_everything_works_without_an_event_loop(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    task, here = sandbox.create_task("user"), list[str]()

    def program() -> Final:
        def show(_: Update) -> None:
            here.append(threading.current_thread().name)

        with Client(amqp_url, served.network) as aui:
            with aui.replies(task.id) as replies:
                job = aui.send("a microwave", task_id=task.id)
                for reply in replies:
                    if reply.terminal:
                        assert reply.job_id == job
                        break
            user = uuid.uuid4().hex
            made = aui.create_task(user)
            assert aui.list_tasks(user).tasks == (made,)
            aui.post_message("hello", task_id=made.id)
            assert len(aui.task_messages(made.id)) == 2
            with pytest.raises(JobFailed):
                aui.ask("!400 | no", task_id=task.id)
            assert threading.current_thread().name != "aui-client"
            unhurried = "!load updates=20 interval=0.05 chunk=5 | and another"
            final = aui.ask(unhurried, task_id=task.id, on_update=show)
            assert set(here) == {threading.current_thread().name}
            return final

    final = await blocked(program)
    assert final.text


async def test_a_bot_acks_without_awaiting(served: Bench, amqp_url: str) -> None:
    queue = f"sub.test-{uuid.uuid4().hex}"

    def program() -> list[str]:
        taken = []
        with Client(amqp_url, served.network, "sms") as aui:
            with aui.subscribe(f"{served.network}.sms.*.final", queue=queue) as replies:
                aui.ask("!final-only | one", user_id="u", job_id="one")
                for reply in replies:
                    reply.give_back(after=0)
                    break
                for reply in replies:
                    taken.append(reply.job_id)
                    reply.ack()
                    break
            with aui.subscribe(f"{served.network}.sms.*.final", queue=queue) as replies:
                aui.ask("!final-only | two", user_id="u", job_id="two")
                for reply in replies:
                    taken.append(reply.job_id)
                    reply.ack()
                    break
        return taken

    try:
        assert await blocked(program) == ["one", "two"]
    finally:
        await served.channel.queue_delete(queue)


async def test_many_threads_share_one(served: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    tasks = [sandbox.create_task("user").id for _ in range(40)]

    def program() -> list[str]:
        with Client(amqp_url, served.network) as aui, ThreadPoolExecutor(10) as pool:
            asked = pool.map(lambda task: aui.ask("!final-only | hi", task_id=task), tasks)
            return [final.task_id for final in asked]

    assert await blocked(program) == tasks


async def test_a_loop_without_a_context_listens_until_it_is_left(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")

    def program() -> str:
        with Client(amqp_url, served.network) as aui:
            stream = iter(aui.replies(task.id))
            with ThreadPoolExecutor(1) as pool:
                coming = pool.submit(next, stream)
                while not coming.done():
                    aui.ask("!final-only | hello", task_id=task.id)
            return coming.result().job_id

    assert await blocked(program)


async def test_a_client_that_is_not_open_says_so(served: Bench, amqp_url: str) -> None:
    def program() -> None:
        client = Client(amqp_url, served.network)
        with pytest.raises(ClientError, match="open the client first"):
            client.send("hi", task_id="t1")
        with client, pytest.raises(ClientError, match="open already"):
            client.open()
        client.close()
        with client:
            client.send("!final-only | hi", task_id="t1")

    await blocked(program)


FORGOTTEN = """
from worker.client.blocking import Client
import sys
aui = Client(sys.argv[1], sys.argv[2]).open()
print(aui.ask("!final-only | hi", user_id="u").text)
"""
WAITING = """
from worker.client.blocking import Client
import sys
with Client(sys.argv[1], sys.argv[2]) as aui:
    try:
        {call}
    except KeyboardInterrupt:
        print("broken off", flush=True)
    print(aui.ask("!final-only | hi", user_id="u").text != "", flush=True)
"""
FORKED = """
from worker.client.blocking import Client
from worker.client import ClientError
import os, sys
aui = Client(sys.argv[1], sys.argv[2]).open()
if os.fork() == 0:
    try:
        aui.send("hi", user_id="u")
    except ClientError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""


def started(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a program."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *words],
        env=environment(words[0]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_by(user: str, sandbox: Sandbox) -> bool:
    """Tell whether a user's message has reached AUI."""
    tasks = [task for task in sandbox.store.tasks.values() if task.user_id == user]
    return any(sandbox.store.user_messages(task.id) for task in tasks)


async def test_a_program_that_forgets_to_close_it_ends(served: Bench, amqp_url: str) -> None:
    program = started(FORGOTTEN, amqp_url, served.network)
    out, errors = await blocked(lambda: program.communicate(timeout=30))
    assert (program.returncode, errors) == (0, "")
    assert out.strip()


@pytest.mark.parametrize(
    "call",
    [
        'aui.ask("!silence | hi", user_id="{user}")',
        'aui.ask("!silence | hi", user_id="{user}", on_update=print)',
        'with aui.replies("t") as r: aui.send("!silence | hi", user_id="{user}"); next(iter(r))',
    ],
)
async def test_ctrl_c_ends_a_call_and_not_the_client(
    served: Bench, amqp_url: str, sandbox: Sandbox, call: str
) -> None:
    user = uuid.uuid4().hex
    program = started(WAITING.format(call=call.format(user=user)), amqp_url, served.network)
    async with asyncio.timeout(PATIENCE):
        while not said_by(user, sandbox):  # noqa: ASYNC110  the sandbox tells nobody
            await asyncio.sleep(0.05)
    program.send_signal(signal.SIGINT)
    out, errors = await blocked(lambda: program.communicate(timeout=30))
    assert (program.returncode, out, errors) == (0, "broken off\nTrue\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_fork_of_the_program_is_told_that_it_needs_its_own(
    served: Bench, amqp_url: str
) -> None:
    program = started(FORKED, amqp_url, served.network)
    out, _ = await blocked(lambda: program.communicate(timeout=30))
    assert out == "this process was forked from the client's: it needs a client of its own\n"
