"""Sends a job and waits for what comes of it: listens first, then sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import isawaitable
from typing import Any

from worker.client.connection import Connection
from worker.client.errors import ClientError, JobFailed, NoAnswer, NotListening
from worker.client.inbox import Inbox
from worker.client.replies import Answer, Created, Failed, Final, Reply, Update
from worker.client.requests import JobOptions, Request, Requests
from worker.client.sending import Sending
from worker.core.errors import LinkLost
from worker.core.operation import Operation

OnUpdate = Callable[[Update], Awaitable[None] | None]


class Asking:
    """What a client sends.

    Args:
        connection: what it has open.
        requests: makes the jobs.
        confirm_timeout: seconds within which the broker has to confirm one.
    """

    def __init__(self, connection: Connection, requests: Requests, confirm_timeout: float) -> None:
        self._connection = connection
        self._requests = requests
        self._confirm_timeout = confirm_timeout
        self._sending = Sending()

    async def send(self, request: Request, within: float | None = None) -> None:
        """Publish a job."""
        patience = self._confirm_timeout
        within = patience if within is None else min(within, patience)
        await self._sending.send(self._connection.outlet, request, within)

    async def ask(
        self,
        text: str,
        task_id: str | None,
        user_id: str | None,
        seconds: float,
        on_update: OnUpdate | None,
        options: JobOptions,
        *,
        operation: Operation = Operation.SEND,
    ) -> Final:
        """Send a message and return its answer."""
        reply_to = self._connection.reply_to if task_id is None else None
        request = self._requests.message(
            text,
            task_id,
            user_id,
            options,
            updates=None if on_update is not None else "off",
            reply_to=reply_to,
            operation=operation,
        )
        async with self._sent(request, seconds) as replies:
            async for reply in replies:
                if isinstance(reply, Final):
                    return reply
                if isinstance(reply, Update) and on_update is not None:
                    told = on_update(reply)
                    if isawaitable(told):
                        await told
        raise AssertionError("replies end with the terminal one")

    async def operate(
        self, operation: Operation, body: Mapping[str, Any], seconds: float, options: JobOptions
    ) -> Reply:
        """Ask for something that comes whole, over our own queue.

        A read that nobody waits for any more is not worth doing.
        """
        if operation.is_read:
            options = {"expires_in": seconds, **options}
        reply_to = self._connection.reply_to
        request = self._requests.operation(operation, body, options, reply_to)
        async with self._sent(request, seconds) as replies:
            async for reply in replies:
                if isinstance(reply, Answer | Created):
                    return reply
        raise AssertionError("replies end with the terminal one")

    @asynccontextmanager
    async def _sent(self, request: Request, seconds: float) -> AsyncIterator[AsyncIterator[Reply]]:
        """Listen, and then send; lends the replies, a failure as an error."""
        deadline = asyncio.get_running_loop().time() + seconds
        async with AsyncExitStack() as stack:
            patience = min(seconds, self._confirm_timeout)
            inbox = await self._expecting(request, patience, stack)
            await self.send(request, deadline - asyncio.get_running_loop().time())
            yield _until(inbox, deadline, request, seconds)

    async def _expecting(self, request: Request, seconds: float, stack: AsyncExitStack) -> Inbox:
        to_task = request.properties.reply_to is None
        key = f"{request.network}.*.{request.task_id}.*" if to_task else None
        try:
            async with asyncio.timeout(seconds) as limit:
                hearing = await self._connection.hearing()
                return await stack.enter_async_context(hearing.expecting(request, key))
        except LinkLost as error:
            raise NotListening(f"nothing to listen to, so nothing was sent: {error}") from None
        except TimeoutError:
            if not limit.expired():
                raise
            raise NotListening(
                f"the broker was not reached within {seconds:g} s, so nothing was sent"
            ) from None


async def _until(
    inbox: Inbox, deadline: float, request: Request, seconds: float
) -> AsyncIterator[Reply]:
    while True:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                reply = await inbox.get()
        except TimeoutError:
            if not limit.expired():
                raise
            raise NoAnswer(request.job_id, seconds) from None
        if reply is None:
            raise ClientError(f"the client was left before job {request.job_id} had ended")
        if isinstance(reply, Failed):
            raise JobFailed(reply)
        yield reply
