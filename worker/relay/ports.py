"""What the flow needs of the world. The adapters in ``worker.amqp`` and ``worker.aui`` fit here.

Each docstring is the contract; ``tests/conformance`` holds the fakes and the adapters to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.core.conversation import PAGE_SIZE, Task, TaskPage
from worker.core.envelope import Envelope, Properties
from worker.core.reply import Reply
from worker.core.said import Said
from worker.core.turn import Turn
from worker.core.update import Update
from worker.core.verdict import Verdict


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
    def queue(self) -> str:
        """The queue it came from."""

    @property
    def tag(self) -> int:
        """The broker's number for it, on its channel."""

    @property
    def first(self) -> bool:
        """It is the first that came over its channel.

        Where jobs are done alone, that is the one that was worked on when the channel before it
        ended.
        """

    @property
    def suspicion(self) -> int:
        """How often it was handed out before, without an end, and this worker was not there."""

    @property
    def at(self) -> float:
        """When the broker handed it over, in monotonic seconds."""

    @property
    def lost(self) -> bool:
        """The link it came over is gone: the broker hands the message out again."""

    def claim(self) -> bool:
        """Start working on it; what is claimed is to be settled.

        False if its link is lost or its queue is being drained: then leave it, the broker hands
        it out again.
        """

    def when_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, once, in the event loop, when the link it came over is lost.

        It is called at once if the link is lost already, and must not raise.

        Returns:
            what takes that back.
        """

    async def ack(self) -> None:
        """Tell the broker that it is done.

        Does nothing when the link it came over is gone: the broker hands it out again. An ack
        is never proof; a redelivery may follow.

        Raises:
            RuntimeError: it was settled before, which is a bug.
        """

    def give_back(self) -> None:
        """Settle it as not done: it goes back to its queue, in order.

        That is as soon as what else was claimed of that queue is settled, and nothing more of it
        can be claimed until then; after a short pause it is all handed out again. Does nothing
        when it was settled before.
        """


class Publisher(Protocol):
    """Publishes replies to the hub and to ``reply_to``."""

    @property
    def possible(self) -> bool:
        """Publishing is possible now, as far as is known; cheap, for it is asked for each update.

        It is not while it is held up, nor as long as too many updates are unconfirmed.
        """

    @property
    def held_up(self) -> bool:
        """Publishing will not be possible for a while, as far as is known.

        The link is down, or the broker takes no publishes because it is short of memory or disk,
        or confirms none.
        """

    async def ready(self) -> None:
        """Return once publishing is possible."""

    def update(self, reply: Reply) -> None:
        """Publish an update, after all that was published before.

        Call it only while publishing is possible. Never waits and never raises. It may get lost
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

    @property
    def stands(self) -> bool:
        """There is nothing to wait for: :meth:`ready` would return at once; cheap."""

    async def ready(self) -> None:
        """Return once the exchange stands, or could not be made (the hub works without it)."""


class TaskExchanges(Protocol):
    """Keeps the exchange of each task alive while the task is."""

    def hold(self, network: str, task_id: str) -> AbstractContextManager[Hold]:
        """Use a task's exchange for the length of the context; it is kept for a while after.

        It is made from the beginning on, whether or not anybody waits for it. What is lost with
        the link is made again as soon as the link is back.
        """


class Agent(Protocol):
    """AUI, for one network."""

    async def converse(
        self, task_id: str, request: bytes, deadline: float, put: Callable[[Update], None]
    ) -> Turn:
        """Put a request to the agent; return the turn with its verdict when it has ended.

        Every ending is a verdict, a connection that could not be opened included. Call it for a
        task again when the call before has returned, not earlier.

        Args:
            task_id: the task it is about.
            request: the JSON body of the message.
            deadline: monotonic time at which it is cut off.
            put: is handed each update, in the event-loop turn in which its bytes arrive. It must
                neither block nor raise; what it raises all the same is raised here.

        Returns:
            the turn. If it is :attr:`~worker.core.turn.Turn.stale`, calling again does not use a
            socket of an earlier turn; but the request may have reached AUI.
        """

    async def post(self, task_id: str, request: bytes, deadline: float) -> Turn:
        """Put a request to the agent and wait for its whole answer; as :meth:`converse`, but for
        the updates.
        """

    async def create_task(self, user_id: str) -> Task:
        """Create a task.

        Raises:
            AgentUnavailable: AUI did not say it was created.
        """

    async def list_tasks(self, user_id: str, page: int = 1, size: int = PAGE_SIZE) -> TaskPage:
        """Return one page of a user's tasks, in whatever order AUI keeps.

        Raises:
            AgentUnavailable: the list was not to be had.
        """

    async def task_messages(self, task_id: str) -> Sequence[Said]:
        """Return what was said in a task, oldest first.

        Raises:
            AgentUnavailable: the history was not to be had.
        """

    async def probe(self) -> Verdict:
        """Ask AUI, without saying anything to an agent, whether it is there and takes our key.

        A REST list call, and then a WebSocket that is opened and closed without a message. Never
        raises for an ending.

        Returns:
            completed when both worked, else the verdict on what failed. A REST call that AUI
            refused for what was asked (any 4xx but 401, 403, 408, 425 and 429) did work: AUI is
            alive.
        """


class Partitions(Protocol):
    """The queues of one network."""

    def close(self) -> None:
        """Drain every partition and then close its channel.

        What was begun goes on, for as long as it takes; what was not goes back.
        """

    def open_one(self) -> None:
        """Consume one partition, another one each time.

        In full: of what was handed out and comes back the broker puts the last behind the rest,
        so that a single job that is given back would be overtaken by its successors.
        """

    def open(self) -> None:
        """Consume all of them, in full."""
