"""The sandbox's memory: tasks and their histories, and whom it tells before it remembers."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, Protocol

from worker.sandbox.assistant import STARTERS, WELCOME, Answer, topic_of
from worker.sandbox.catalog import Product


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """One line of a history: what the user or the agent said, and when it shows there.

    `created_at` is ISO 8601 in UTC with milliseconds and a Z; `visible_at` is on the store's
    monotonic clock. A user's message keeps `request`, the body as it was sent; an agent's
    `answers` the message of that id.
    """

    id: str
    created_at: str
    sender: Literal["user", "agent"]
    text: str
    visible_at: float
    products: tuple[Product, ...] = ()
    suggestions: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    answers: str = ""


@dataclass(slots=True)
class Task:
    """A conversation of one user; `messages` is everything ever said in it, oldest first."""

    id: str
    user_id: str
    title: str = "New Conversation"
    welcome_message: str = WELCOME
    followup_suggestions: tuple[str, ...] = STARTERS
    messages: list[TaskMessage] = field(default_factory=list)
    previous: Answer | None = None


class Keeper(Protocol):
    """Keeps what a store is about to remember; every time is in seconds since the epoch.

    What a keeper raises, the store passes on, and remembers nothing.
    """

    def keep_task(self, task: Task, at: float) -> None:
        """A new task."""

    def keep_message(self, task: Task, message: TaskMessage, at: float, visible_at: float) -> None:
        """A message said at `at`, which shows in the history from `visible_at` on."""

    def keep_unanswered(self, task: Task, question: TaskMessage, at: float) -> None:
        """A user's message that will not be answered, as of `at`; no history shows that."""


class Store:
    """Tasks by id and by user. `now` is seconds since the epoch, `monotonic` any steady clock.

    A `keeper` hears of everything before it is remembered, so before anybody else does.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        keeper: Keeper | None = None,
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self._of_user: dict[str, list[Task]] = {}
        self._now = now
        self._monotonic = monotonic
        self._keeper = keeper
        self._process = secrets.token_hex(5)
        self._counter = count(secrets.randbelow(0x100000))

    def new_id(self) -> str:
        """A Mongo ObjectId: 24 hex digits, of which the first 8 are seconds since the epoch."""
        return f"{int(self._now()):08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"

    def create_task(self, user_id: str, task_id: str | None = None) -> Task:
        """A new task of this user, under a fresh ObjectId or the given id (ValueError if taken)."""
        task = self._new_task(task_id or self.new_id(), user_id)
        if self._keeper is not None:
            self._keeper.keep_task(task, self._now())
        self._remember_task(task)
        return task

    def restore_task(self, task_id: str, user_id: str) -> None:
        """Remembers a task that was kept; ValueError when there is one of that id."""
        self._remember_task(self._new_task(task_id, user_id))

    def tasks_of(self, user_id: str) -> list[Task]:
        """The user's tasks, oldest first."""
        return list(self._of_user.get(user_id, ()))

    def add_user_message(
        self, task: Task, request: Mapping[str, Any], lag: float = 0.0
    ) -> TaskMessage:
        """Records a user's message, directive and all; it shows after `lag` seconds."""
        at = self._now()
        message = TaskMessage(
            id=self.new_id(),
            created_at=written(at),
            sender="user",
            text=request["text"],
            visible_at=self._monotonic() + lag,
            request=request,
        )
        return self._record(task, message, at, lag)

    def add_answer(
        self, task: Task, message_id: str, answer: Answer, lag: float = 0.0, answers: str = ""
    ) -> TaskMessage:
        """Records the agent's answer under an id drawn before; it shows after `lag` seconds.

        `answers` is the id of the user's message.
        """
        at = self._now()
        message = TaskMessage(
            id=message_id,
            created_at=written(at),
            sender="agent",
            text=answer.text,
            visible_at=self._monotonic() + lag,
            products=answer.products,
            suggestions=answer.suggestions,
            answers=answers,
        )
        return self._record(task, message, at, lag)

    def give_up(self, task: Task, question: TaskMessage) -> None:
        """Tells the keeper that a user's message will not be answered; the task stays as it is."""
        if self._keeper is not None:
            self._keeper.keep_unanswered(task, question, self._now())

    def restore_message(self, task_id: str, message: TaskMessage) -> None:
        """Remembers a message that was kept, its `visible_at` in seconds since the epoch.

        KeyError for a task there is not.
        """
        shows_in = message.visible_at - self._now()
        shown = replace(message, visible_at=self._monotonic() + shows_in)
        _remember_message(self.tasks[task_id], shown)

    def history(self, task: Task) -> list[TaskMessage]:
        """What the task's history shows now, oldest first: the lagging messages are not in it."""
        now = self._monotonic()
        return [message for message in task.messages if message.visible_at <= now]

    def user_messages(self, task_id: str | None = None) -> list[TaskMessage]:
        """Every message users sent, to one task or to all, shown in a history yet or not.

        KeyError for a task there is not.
        """
        tasks = self.tasks.values() if task_id is None else [self.tasks[task_id]]
        return [line for task in tasks for line in task.messages if line.sender == "user"]

    def timestamp(self) -> str:
        """Now, as AUI writes it."""
        return written(self._now())

    def _record(self, task: Task, message: TaskMessage, at: float, lag: float) -> TaskMessage:
        if self._keeper is not None:
            self._keeper.keep_message(task, message, at, at + lag)
        _remember_message(task, message)
        return message

    def _new_task(self, task_id: str, user_id: str) -> Task:
        if task_id in self.tasks:
            raise ValueError(f"there is a task {task_id} already")
        return Task(task_id, user_id)

    def _remember_task(self, task: Task) -> None:
        self.tasks[task.id] = task
        self._of_user.setdefault(task.user_id, []).append(task)


def written(seconds: float) -> str:
    """A moment in seconds since the epoch, as AUI writes it: `2026-03-09T14:22:01.000Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _remember_message(task: Task, message: TaskMessage) -> None:
    task.messages.append(message)
    if message.sender == "agent":
        task.previous = Answer(message.text, message.products, message.suggestions)
        task.title = topic_of(task.previous)
