"""The sandbox's memory: tasks and their histories, for as long as the process lives."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

from worker.sandbox.assistant import STARTERS, WELCOME, Answer, topic_of
from worker.sandbox.catalog import Product


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """One line of a history: what the user or the agent said, and when it shows there.

    `created_at` is ISO 8601 in UTC with milliseconds and a Z; `visible_at` is on the store's
    monotonic clock. A user's message keeps `request`, the body as it was sent.
    """

    id: str
    created_at: str
    sender: Literal["user", "agent"]
    text: str
    visible_at: float
    products: tuple[Product, ...] = ()
    suggestions: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)


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


class Store:
    """Tasks by id and by user. `now` is seconds since the epoch, `monotonic` any steady clock."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self._of_user: dict[str, list[Task]] = {}
        self._now = now
        self._monotonic = monotonic
        self._process = secrets.token_hex(5)
        self._counter = count(secrets.randbelow(0x100000))

    def new_id(self) -> str:
        """A Mongo ObjectId: 24 hex digits, of which the first 8 are seconds since the epoch."""
        return f"{int(self._now()):08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"

    def create_task(self, user_id: str, task_id: str | None = None) -> Task:
        """A new task of this user, under a fresh ObjectId or the given id (ValueError if taken)."""
        task = Task(task_id or self.new_id(), user_id)
        if task.id in self.tasks:
            raise ValueError(f"there is a task {task.id} already")
        self.tasks[task.id] = task
        self._of_user.setdefault(user_id, []).append(task)
        return task

    def tasks_of(self, user_id: str) -> list[Task]:
        """The user's tasks, oldest first."""
        return list(self._of_user.get(user_id, ()))

    def add_user_message(
        self, task: Task, request: Mapping[str, Any], lag: float = 0.0
    ) -> TaskMessage:
        """Records a user's message, directive and all; it shows after `lag` seconds."""
        message = TaskMessage(
            id=self.new_id(),
            created_at=self.timestamp(),
            sender="user",
            text=request["text"],
            visible_at=self._monotonic() + lag,
            request=request,
        )
        task.messages.append(message)
        return message

    def add_answer(
        self, task: Task, message_id: str, answer: Answer, lag: float = 0.0
    ) -> TaskMessage:
        """Records the agent's answer under an id drawn before; it shows after `lag` seconds."""
        message = TaskMessage(
            id=message_id,
            created_at=self.timestamp(),
            sender="agent",
            text=answer.text,
            visible_at=self._monotonic() + lag,
            products=answer.products,
            suggestions=answer.suggestions,
        )
        task.messages.append(message)
        task.previous = answer
        task.title = topic_of(answer)
        return message

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
        """Now, as AUI writes it: `2026-03-09T14:22:01.000Z`."""
        moment = datetime.fromtimestamp(self._now(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
