"""The client for programs without an event loop: Django, Flask, scripts.

    with Client("amqp://broker/") as aui:
        final = aui.ask("a built-in microwave, please", user_id="+49 170 1234567")
        print(final.text)

It works in a thread of its own, may be used by many threads at once, and Ctrl-C ends any call. A
server that forks (gunicorn, uwsgi) makes it after the fork.
"""

import atexit
from collections.abc import Callable
from types import TracebackType
from typing import Self, Unpack

from worker.client import client as asynchronous
from worker.client.blocking_streams import Calls, Stream
from worker.client.client import ANSWER_TIMEOUT, PREFETCH
from worker.client.errors import ClientError
from worker.client.loop_thread import LoopThread
from worker.client.models import Message, Task, TaskPage
from worker.client.operations import OPERATION_TIMEOUT
from worker.client.replies import Final, Update
from worker.client.requests import MAX_JOB_BYTES, JobOptions
from worker.core.job_properties import DEFAULT_CHANNEL
from worker.core.topology import DEFAULT_NETWORK

__all__ = ["Client", "Stream"]


class Client:
    """Does what :class:`worker.client.Client` does, and each call returns when it is done.

    Arguments, results and errors are the same, and told there. A program that cannot use ``with``
    calls :meth:`open`, and at its end :meth:`close`.
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
        self._aui = asynchronous.Client(
            url,
            network,
            channel,
            confirm_timeout=confirm_timeout,
            connect_timeout=connect_timeout,
            max_job_bytes=max_job_bytes,
        )
        self._thread: LoopThread | None = None

    def open(self) -> Self:
        """Connect; raises as entering :class:`worker.client.Client` does."""
        if self._thread is not None:
            raise ClientError("the client is open already")
        thread = LoopThread()
        try:
            thread.run(self._aui.__aenter__())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        atexit.register(self.close)
        return self

    def close(self) -> None:
        """Let go of everything; idempotent."""
        thread, self._thread = self._thread, None
        atexit.unregister(self.close)
        if thread is not None and thread.ours:
            try:
                thread.run(self._aui.__aexit__(None, None, None))
            finally:
                thread.stop()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        updates: str = "every",
        reply_to: str | None = None,
        **options: Unpack[JobOptions],
    ) -> str:
        """Publish a message to the agent, and wait until the broker has confirmed it."""
        whom = {"task_id": task_id, "user_id": user_id}
        return self._running.run(
            self._aui.send(text, **whom, updates=updates, reply_to=reply_to, **options)
        )

    def ask(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        timeout: float = ANSWER_TIMEOUT,
        on_update: Callable[[Update], None] | None = None,
        **options: Unpack[JobOptions],
    ) -> Final:
        """Send a message to the agent, and wait for its answer.

        ``on_update`` is called in the caller's own thread.
        """
        calls, thread = Calls(), self._running
        future = thread.submit(
            self._aui.ask(
                text,
                task_id=task_id,
                user_id=user_id,
                timeout=timeout,
                on_update=None if on_update is None else calls.hand_over,
                **options,
            )
        )
        future.add_done_callback(calls.end)
        try:
            calls.make(thread, on_update or (lambda _: None))
            return future.result()
        finally:
            future.cancel()

    def post_message(
        self,
        text: str,
        *,
        task_id: str | None = None,
        user_id: str | None = None,
        timeout: float = ANSWER_TIMEOUT,
        **options: Unpack[JobOptions],
    ) -> Final:
        """Do what :meth:`ask` does, but have the worker ask over REST, which streams nothing."""
        return self._running.run(
            self._aui.post_message(
                text, task_id=task_id, user_id=user_id, timeout=timeout, **options
            )
        )

    def replies(self, task_id: str, *, network: str | None = None) -> Stream:
        """Listen to everything about a task."""
        return Stream(self._running, self._aui.replies(task_id, network=network))

    def watch(self, *keys: str) -> Stream:
        """Listen to many tasks at once, for as long as the program runs."""
        return Stream(self._running, self._aui.watch(*keys))

    def subscribe(self, *keys: str, queue: str, prefetch: int = PREFETCH) -> Stream:
        """Take replies off a durable queue of one's own: what a bot does."""
        return Stream(self._running, self._aui.subscribe(*keys, queue=queue, prefetch=prefetch))

    def create_task(
        self, user_id: str, *, timeout: float = OPERATION_TIMEOUT, **options: Unpack[JobOptions]
    ) -> Task:
        """Begin a conversation."""
        return self._running.run(self._aui.create_task(user_id, timeout=timeout, **options))

    def list_tasks(
        self,
        user_id: str,
        page: int = 1,
        size: int = 50,
        *,
        timeout: float = OPERATION_TIMEOUT,
        **options: Unpack[JobOptions],
    ) -> TaskPage:
        """Return the conversations of a user, in AUI's order."""
        return self._running.run(
            self._aui.list_tasks(user_id, page, size, timeout=timeout, **options)
        )

    def task_messages(
        self, task_id: str, *, timeout: float = OPERATION_TIMEOUT, **options: Unpack[JobOptions]
    ) -> list[Message]:
        """Return what was said in a conversation, oldest first."""
        return self._running.run(self._aui.task_messages(task_id, timeout=timeout, **options))

    @property
    def _running(self) -> LoopThread:
        if self._thread is None:
            raise ClientError("open the client first: with Client(url) as aui")
        return self._thread
