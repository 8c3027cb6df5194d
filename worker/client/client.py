"""The client: sends jobs, and hears what comes of them.

async with Client("amqp://broker/") as aui:
    final = await aui.ask("a built-in microwave, please", user_id="+49 170 1234567")
    print(final.text)
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, Unpack

from worker.client.asking import Asking
from worker.client.connection import Connection
from worker.client.errors import InvalidRequest
from worker.client.operations import Operations
from worker.client.replies import Final, Update
from worker.client.requests import MAX_JOB_BYTES, JobOptions, Requests, check_word
from worker.client.streams import Replies
from worker.client.subscribed import Subscribed, check_queue
from worker.client.topics import check_key
from worker.core.job_properties import DEFAULT_CHANNEL
from worker.core.operation import Operation
from worker.core.topology import DEFAULT_NETWORK

ANSWER_TIMEOUT = 120.0
PREFETCH = 16


class Client(Operations):
    """Talks to workers over a broker; enter it to connect, leave it to let go of everything.

    One client serves a whole program, however much it does at once; it belongs to the event loop
    it was entered in. A lost connection is mended by itself, and loses no reply.

    Args:
        url: the broker's, with credentials: ``amqp://user:password@host:5672/vhost``, or
            ``amqps://…``. Never shown.
        network: whose key to use, where a call names no other.
        channel: a label for subscribers, where a call names no other: ``web``, ``sms``, ….
        confirm_timeout: seconds within which the broker has to confirm a job, reconnects included.
        connect_timeout: seconds to wait for the broker at first; None for ever.
        max_job_bytes: the limit of a job's body, where workers have another
            ``WORKER_MAX_JOB_BYTES``.

    Raises:
        InvalidRequest: ``network`` or ``channel`` do not match ``[A-Za-z0-9_-]{1,64}``.
    """

    def __init__(
        self,
        url: str,
        network: str = DEFAULT_NETWORK,
        channel: str = DEFAULT_CHANNEL,
        *,
        confirm_timeout: float = 30.0,
        connect_timeout: float | None = 30.0,
        max_job_bytes: int = MAX_JOB_BYTES,
    ) -> None:
        check_word("network", network)
        check_word("channel", channel)
        self.network = network
        self.channel = channel
        self._requests = Requests(network, channel, max_job_bytes)
        self._connection = Connection(url, connect_timeout)
        super().__init__(Asking(self._connection, self._requests, confirm_timeout))

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            NotConnected: the broker was not reached in time, or refused the user name, the
                password or the virtual host.
        """
        await self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    async def send(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        updates: str = "every",
        reply_to: str | None = None,
        **options: Unpack[JobOptions],
    ) -> str:
        """Publish a message to the agent, and wait until the broker has confirmed it.

        Args:
            text: the user's message.
            task_id: the task (conversation) it is for, or
            user_id: the user, whose latest task is continued, or made.
            updates: which updates are wanted: ``every``, ``off``, or at most one per interval,
                like ``250ms``.
            reply_to: a queue that also gets the replies; must match the workers'
                ``WORKER_REPLY_TO_PATTERN``.
            **options: ``network``, ``channel``, ``context``, ``job_id``, ``correlation_id``,
                ``new_conversation``, ``expires_in``: see :class:`JobOptions`.

        Returns:
            the job id.

        Raises:
            InvalidRequest: naming the argument at fault; nothing was published.
            NotAccepted: the broker did not confirm it.
        """
        request = self._requests.message(
            text, task_id, user_id, options, updates=updates, reply_to=reply_to
        )
        await self._asking.send(request)
        return request.job_id

    async def ask(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        timeout: float = ANSWER_TIMEOUT,  # noqa: ASYNC109  of the answer, not of this call
        on_update: Callable[[Update], Awaitable[None] | None] | None = None,
        **options: Unpack[JobOptions],
    ) -> Final:
        """Send a message to the agent, and wait for its answer.

        Args:
            text: the user's message.
            task_id: the task (conversation) it is for, or
            user_id: the user, whose latest task is continued, or made.
            timeout: seconds to wait for the answer.
            on_update: called with the text so far, again and again; may be asynchronous. Without
                it the workers publish no updates of the job.
            **options: as those of :meth:`send`.

        Raises:
            InvalidRequest: naming the argument at fault; nothing was published.
            NotAccepted: the broker did not confirm the job.
            NotListening: replies cannot be had, so nothing was sent.
            JobFailed: it ended without an answer.
            NoAnswer: none came in time; the job goes on.
        """
        return await self._asking.ask(text, task_id, user_id, timeout, on_update, options)

    async def post_message(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        timeout: float = ANSWER_TIMEOUT,  # noqa: ASYNC109  of the answer, not of this call
        **options: Unpack[JobOptions],
    ) -> Final:
        """Do what :meth:`ask` does, but have the worker ask over REST, which streams nothing."""
        return await self._asking.ask(
            text, task_id, user_id, timeout, None, options, operation=Operation.POST
        )

    def replies(self, task_id: str, *, network: str | None = None) -> Replies:
        """Listen to everything about a task: ``Update | Final | Failed | Retrying | Created``.

        What is late, repeated or superseded is left out; of updates that nobody has read yet only
        the newest is kept. Enter the context before sending, then nothing is missed::

            async with aui.replies(task_id) as replies:
                await aui.send("hello", task_id=task_id)
                async for reply in replies: ...

        ``async for reply in aui.replies(task_id)`` listens from its first turn on.

        Raises:
            InvalidRequest: the task id or network cannot be one.
            NotListening: replies cannot be had (from the entered context on).
        """
        network = check_word("network", self.network if network is None else network)
        task_id = check_word("task_id", task_id)
        return Replies(self._connection, f"{network}.*.{task_id}.*")

    def watch(self, *keys: str) -> Replies:
        """Listen to many tasks at once, for as long as the program runs.

        Args:
            *keys: ``<network>.<channel>.<task_id>.<kind>``, with ``*`` for any word and ``#`` for
                any number of them; all replies where none is given.

        Raises:
            InvalidRequest: naming a key that is none.
        """
        return Replies(self._connection, *map(check_key, keys or ("#",)))

    def subscribe(self, *keys: str, queue: str, prefetch: int = PREFETCH) -> Subscribed:
        """Take replies off a durable queue of one's own: what a bot does.

        The queue stays when the program stops, and keeps what comes meanwhile. A reply is taken
        off only by :meth:`Reply.ack`, to be called after the bot's own side effect; all else comes
        again. Several programs may share a queue, and its work.

        Args:
            *keys: as those of :meth:`watch`, like ``acme.sms.*.final``.
            queue: its name, like ``sub.acme-sms``.
            prefetch: how many replies may be handed out and not acked.

        Raises:
            InvalidRequest: naming the argument at fault.
            NotListening: the queue cannot be had (when it is entered).
        """
        if not keys:
            raise InvalidRequest("keys", "give at least one, like acme.sms.*.final")
        return Subscribed(
            self._connection, check_queue(queue), list(map(check_key, keys)), prefetch
        )
