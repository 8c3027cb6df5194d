"""Replies as an asynchronous stream."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from worker.client.connection import Connection
from worker.client.errors import ClientError, NotListening
from worker.client.hearing import Hearing
from worker.client.inbox import Inbox
from worker.client.replies import Reply
from worker.core.errors import LinkLost


class Replies:
    """Replies as they come; made by :meth:`Client.replies` and :meth:`Client.watch`.

    A context that is entered once it listens, and an iterator that ends with the client. Without
    the context it listens from the first turn of ``async for`` until that is left.
    """

    def __init__(self, connection: Connection, *keys: str) -> None:
        self._connection = connection
        self._keys = keys
        self._inbox = Inbox()
        self._hearing: Hearing | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen.

        Raises:
            NotListening: the broker refuses it.
        """
        if self._hearing is not None:
            raise ClientError("these replies are listened to already")
        hearing = await self._connection.hearing()
        self._inbox = Inbox()
        try:
            await hearing.listen(self._inbox, self._keys)
        except LinkLost as error:
            raise NotListening(f"nothing to listen to: {error}") from None
        self._hearing = hearing
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            hearing.leave(self._inbox, self._keys)

    async def __aiter__(self) -> AsyncIterator[Reply]:
        if self._hearing is None:
            async with self:
                while (reply := await self._inbox.get()) is not None:
                    yield reply
        else:
            while (reply := await self._inbox.get()) is not None:
                yield reply

    async def __anext__(self) -> Reply:
        """Return the next reply; only within the context."""
        if self._hearing is None:
            raise ClientError("enter the replies first: async with aui.replies(…) as replies")
        reply = await self._inbox.get()
        if reply is None:
            raise StopAsyncIteration
        return reply
