"""``aui-worker chat``, over a pipe and at a terminal."""

import asyncio
import fcntl
import os
import pty
import re
import sys
import termios
import uuid

import pytest
from harness import PATIENCE, Bench
from programs import environment, start

from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


async def chat(env: dict[str, str], *words: str, lines: str) -> tuple[int, str, str]:
    """Hold a conversation over a pipe."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "default", "-m", "worker", "chat", *words),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, errors = await program.communicate(lines.encode())
    return program.returncode or 0, out.decode(), errors.decode()


async def test_a_conversation_over_a_pipe(served: Bench, amqp_url: str, sandbox: Sandbox) -> None:
    user = uuid.uuid4().hex
    words = ["--user", user, "--network", served.network]
    lines = ["!final-only | a microwave", "1", "!1011 after=3 times=1 | again", "!400 | no"]
    code, out, errors = await chat(
        environment(amqp_url), *words, lines="\n".join([*lines, "/history", "/new", "/what"])
    )

    assert (code, errors) == (0, "")
    assert out.count("✓") == 3
    assert "1 What is the price range?" in out
    assert "↻ upstream_error" in out
    assert "✗ bad_request" in out
    assert "say it in other words" in out
    assert "you What is the price range?" in out  # the suggestion that 1 stands for
    assert out.count("+ Hi!") == 2
    assert out.count("/new begins") == 2
    assert len({task.id for task in sandbox.store.tasks.values() if task.user_id == user}) == 2


async def test_a_user_goes_on_with_the_latest_conversation(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    user = uuid.uuid4().hex
    sandbox.create_task(user)
    latest = sandbox.create_task(user)
    words = ["--user", user, "--network", served.network]
    _, out, _ = await chat(environment(amqp_url), *words, lines="hello\n/quit\nnever said\n")
    assert latest.id in out
    assert len(sandbox.store.user_messages(latest.id)) == 1


async def test_a_task_alone_cannot_begin_another(
    served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    words = ["--task", task.id, "--network", served.network]
    code, out, _ = await chat(environment(amqp_url), *words, lines="hello\n/new\n")
    assert code == 0
    assert "✓" in out
    assert "start with --user" in out


async def test_a_network_that_nobody_serves_is_told_in_a_line(amqp_url: str) -> None:
    words = ["--user", "u", "--network", "nowhere"]
    code, _, errors = await chat(environment(amqp_url), *words, lines="hello\n")
    assert code == 1
    assert errors.count("\n") == 1
    assert "no exchange aui.jobs.nowhere" in errors


async def test_one_of_task_and_user_is_enough(amqp_url: str) -> None:
    program = await start("chat", "--task", "t", "--user", "u", env=environment(amqp_url))
    _, errors = await program.communicate()
    assert program.returncode == 2
    assert b"not both" in errors


class Terminal:
    """A terminal with a chat in it."""

    def __init__(self, env: dict[str, str], *words: str) -> None:
        self._env = {**env, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        self._words = words
        self._shown = ""

    async def __aenter__(self) -> "Terminal":
        self._here, there = pty.openpty()
        self.program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "chat", *self._words),
            env=self._env,
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(there)
        self._stirred = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._here, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._here)
        if self.program.returncode is None:
            self.program.kill()
            await self.program.wait()
        os.close(self._here)

    def type(self, text: str) -> None:
        """Type something."""
        self._shown = ""
        os.write(self._here, text.encode())

    async def ended_by(self, key: str) -> int:
        """Press a key until the program ends, as a person would; return its exit code.

        One Ctrl-C in a hundred goes unheard on a busy machine: where the signal comes just before
        CPython's readline begins to wait, nothing looks at it until the next key.
        """
        ended = asyncio.create_task(self.program.wait())
        for _ in range(3):
            self.type(key)
            await asyncio.wait({ended}, timeout=PATIENCE / 3)
            if ended.done():
                return ended.result()
        ended.cancel()
        raise AssertionError(f"{key!r} did not end it: {self._shown!r}")

    async def until(self, words: str) -> str:
        """Wait until it shows this; return what it has shown since something was typed."""
        try:
            async with asyncio.timeout(PATIENCE):
                while words not in self._shown:
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            raise AssertionError(f"never showed {words!r}: {self._shown!r}") from None
        return self._shown

    def _read(self) -> None:
        try:
            read = os.read(self._here, 65536)
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._here)
            return
        self._shown += ESCAPES.sub("", read.decode(errors="replace"))
        self._stirred.set()


async def test_at_a_terminal_text_streams_and_ctrl_c_stops_the_waiting_and_then_the_chat(
    served: Bench, amqp_url: str
) -> None:
    words = ["--user", uuid.uuid4().hex, "--network", served.network]
    async with Terminal(environment(amqp_url), *words) as terminal:
        await terminal.until("> ")
        terminal.type("!load updates=20 interval=0.05 | a microwave\n")
        shown = await terminal.until("✓")
        assert "…" in shown
        await terminal.until("\n> ")
        terminal.type("!silence | never\n")
        await terminal.until("…")
        terminal.type("\x03")
        await terminal.until("not waited for")
        await terminal.until("> ")
        assert await terminal.ended_by("\x03") == 0
