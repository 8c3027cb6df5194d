"""What the flow needs of the world. The adapters in ``worker.amqp`` and ``worker.aui`` fit here.

Each docstring is the contract; ``tests/conformance`` holds the fakes and the adapters to it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.core.conversation import Said, Task, TaskPage
from worker.core.envelope import Envelope, Properties
from worker.core.reply import Reply
from worker.core.turn import Turn
from worker.core.wire import Update


@dataclass(frozen=True, slots=True)
class Clock:
    """The times the flow needs: ``now`` is monotonic, in seconds; ``utc`` is for people."""

    now: Callable[[], float]
    utc: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]


class Delivery(Protocol):
    """One hand-over of a message by the broker; settled exactly once."""

    @property
    def envelope(self) -> Envelope:
        """The message."""

    @property
    def lost(self) -> bool:
        """The link it came over is gone: the broker hands the message out again."""

    async def ack(self) -> None:
        """Tell the broker that it is done.

        Does nothing when the link it came over is gone: the broker hands it out again. An ack
        is never proof; a redelivery may follow.

        Raises:
            RuntimeError: it was settled before, which is a bug.
        """

    def give_back(self) -> None:
        """Have the broker hand it out again, with all that came over its channel."""


class Publisher(Protocol):
    """Publishes replies to the hub and to ``reply_to``."""

    async def update(self, reply: Reply) -> None:
        """Publish an update, after all that was published before.

        Returns when it may be followed by the next one, before its confirm. It may get lost
        with the link: the next one holds its text too.
        """

    async def announce(self, reply: Reply) -> None:
        """Publish a reply that ends nothing (``retrying``, ``created``); returns confirmed."""

    async def terminal(self, reply: Reply) -> None:
        """Publish a terminal reply; returns when the broker has confirmed that it is kept.

        Waits for the link for as long as it takes. What neither the hub nor ``reply_to`` could
        place goes to ``aui.unclaimed``.
        """


class Copies(Protocol):
    """Publishes copies of jobs; each returns when the broker has confirmed the copy."""

    async def to_dead(self, key: str, body: bytes, properties: Properties) -> None:
        """Keep a dead letter in ``aui.dead`` under that routing key."""

    async def to_slot(self, network: str, slot: str, body: bytes, properties: Properties) -> None:
        """Queue a job in the partition of that slot."""


class Hold(Protocol):
    """A use of a task's exchange."""

    async def ready(self) -> None:
        """Return once the exchange stands, or could not be made (the hub works without it)."""


class TaskExchanges(Protocol):
    """Keeps the exchange of each task alive while the task is."""

    def hold(self, network: str, task_id: str) -> AbstractContextManager[Hold]:
        """Use a task's exchange for the length of the context; it is kept for a while after.

        What is lost with the link is made again as soon as the link is back.
        """


class Conversation(Protocol):
    """One attempt at a turn, over one WebSocket."""

    turn: Turn
    """The state of the turn; its verdict is set when the iteration has ended."""

    def __aiter__(self) -> AsyncIterator[Update]:
        """Yield the updates as they come, until there is a verdict; never raises for an ending."""


class Agent(Protocol):
    """AUI, for one network."""

    def converse(
        self, task_id: str, request: bytes, deadline: float
    ) -> AbstractAsyncContextManager[Conversation]:
        """Open a WebSocket, send a request, and give the conversation; closes it on leaving.

        Every ending is a verdict, a connection that could not be opened included.

        Args:
            task_id: the task it is about.
            request: the JSON body of the message.
            deadline: monotonic time at which it is cut off.
        """

    async def create_task(self, user_id: str) -> Task:
        """Create a task.

        Raises:
            AgentUnavailable: AUI did not say it was created.
        """

    async def list_tasks(self, user_id: str, page: int = 1) -> TaskPage:
        """Return one page of a user's tasks, in whatever order AUI keeps.

        Raises:
            AgentUnavailable: the list was not to be had.
        """

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        """Return what was said in a task, oldest first.

        Raises:
            AgentUnavailable: the history was not to be had.
        """
