"""``aui-worker chat``: a conversation with the agent, in a terminal."""

import getpass
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from worker.cli.screen import Screen, offers, plain
from worker.client import Advice, ClientError, Failed, Final, JobFailed, Task
from worker.client.blocking import Client
from worker.core.conversation import created_at
from worker.core.job_properties import DEFAULT_CHANNEL
from worker.core.topology import DEFAULT_NETWORK
from worker.settings import load_amqp_url

PAGE = 50
HELP = "/new begins a conversation, /history shows this one, /quit ends; 1, 2, … says a suggestion"
ADVICE: dict[Advice, str] = {
    "rephrase": "the agent refused this: say it in other words",
    "try_later": "it did not work this time: try again later",
    "operator": "neither other words nor waiting will help: aui-worker explain tells what it is",
}


def chat(
    task: Annotated[str | None, typer.Option(help="The task to go on with.")] = None,
    user: Annotated[
        str | None, typer.Option(help="The user whose latest task to go on with, or to begin.")
    ] = None,
    network: Annotated[str, typer.Option(help="Whose key to use.")] = DEFAULT_NETWORK,
    channel: Annotated[str, typer.Option(help="A label for subscribers.")] = DEFAULT_CHANNEL,
) -> None:
    """Talk to the agent. Ctrl-C stops waiting for an answer, and at the prompt ends."""
    if task is not None and user is not None:
        raise typer.BadParameter("give --task or --user, and not both")
    console = Console(highlight=False)
    user = user or (f"chat-{own_name()}" if task is None else None)
    with Client(load_amqp_url(), network, channel) as aui:
        conversation = Conversation(console, aui, user)
        conversation.begin(task)
        for line in _lines(console):
            if line == "/quit":
                break
            try:
                conversation.said(line)
            except KeyboardInterrupt:
                console.print("[dim]not waited for; the answer goes on[/dim]")
            except ClientError as error:
                console.print(Text(f"✗ {plain(str(error))}", "red"))


class Conversation:
    """What is going on at the terminal.

    Args:
        console: where to draw.
        aui: who to ask.
        user: whose conversation it is; None where only the task is known.
    """

    def __init__(self, console: Console, aui: Client, user: str | None) -> None:
        self._console = console
        self._aui = aui
        self._user = user
        self._task = ""
        self._suggestions: tuple[str, ...] = ()

    def begin(self, task: str | None) -> None:
        """Go on with a task, or with the user's latest, or with a new one."""
        self._console.print(Text(HELP, "dim"))
        if task is not None:
            self._task = task
            return
        assert self._user is not None  # one of them is given
        latest = self._latest(self._user)
        if latest is None:
            self._new()
        else:
            self._task = latest.id
            title = plain(latest.title or "a conversation")
            self._console.print(Text(f"{title} ({latest.id})", "dim"))

    def said(self, line: str) -> None:
        """Do what a line asks for."""
        if line == "/new":
            self._new()
        elif line == "/history":
            self._history()
        elif line.startswith("/"):
            self._console.print(Text(HELP, "dim"))
        elif line:
            self._ask(self._suggested(line))

    def _ask(self, text: str) -> None:
        with (
            self._aui.replies(self._task) as replies,
            Screen(self._console, numbers=True) as screen,
        ):
            job_id = self._aui.send(text, task_id=self._task)
            screen.wait()
            for reply in replies:
                screen.show(reply)
                if reply.terminal and reply.job_id == job_id:
                    break
        if isinstance(reply, Final):
            self._suggestions = reply.followup_suggestions
        elif isinstance(reply, Failed):
            self._advise(reply.advice)

    def _new(self) -> None:
        if self._user is None:
            self._console.print(Text("whose? start with --user to begin conversations", "yellow"))
            return
        try:
            task = self._aui.create_task(self._user)
        except JobFailed as error:
            self._console.print(Text(f"✗ {plain(str(error))}", "red"))
            self._advise(error.advice)
            return
        self._task, self._suggestions = task.id, task.followup_suggestions
        self._console.print(Text.assemble(("+ ", "bold blue"), plain(task.welcome_message)))
        for line in offers((), task.followup_suggestions, numbers=True):
            self._console.print(line)

    def _history(self) -> None:
        for message in self._aui.task_messages(self._task):
            who, style = ("you", "bold") if message.by_user else ("agent", "bold green")
            at = f"{message.created_at:%H:%M} " if message.created_at else ""
            line = Text.assemble((at, "dim"), (f"{who} ", style), plain(message.text))
            self._console.print(Padding(line, (0, 0, 0, 2)))

    def _latest(self, user: str) -> Task | None:
        """Return the user's newest task, however AUI sorts them."""
        first = self._aui.list_tasks(user, size=PAGE)
        tasks, pages = list(first.tasks), -(-first.total // PAGE)
        if pages > 1:
            tasks += self._aui.list_tasks(user, pages, PAGE).tasks
        return max(tasks, key=lambda task: created_at(task.id) or 0, default=None)

    def _suggested(self, line: str) -> str:
        """Return the suggestion that a number stands for."""
        if line.isdecimal() and 0 < int(line) <= len(self._suggestions):
            text = self._suggestions[int(line) - 1]
            self._console.print(Text(plain(text), "dim"))
            return text
        return line

    def _advise(self, advice: Advice) -> None:
        self._console.print(Padding(Text(ADVICE[advice], "dim"), (0, 0, 0, 4)))


def own_name() -> str:
    """Return who is at the terminal; in a container that may be nobody by name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _lines(console: Console) -> Iterator[str]:
    """Yield what is typed, or comes over a pipe, until it ends or is broken off."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin)
        return
    with suppress(ImportError):
        importlib.import_module("readline")  # lines can be edited, and had again
    while True:
        try:
            yield console.input("[bold]> [/bold]").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
