"""A client's connections: one to publish over, and a second one once there is something to hear.

A broker that is short of memory stops reading from who publishes: acks over the same connection
would wait as long.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from worker.amqp.link import Link, linked, shown_url
from worker.amqp.loss import Loss
from worker.amqp.outlet import Outlet
from worker.amqp.parting import PARTING, parted
from worker.amqp.subscription import Subscription
from worker.client.errors import FORKED, ClientError, NotConnected, NotListening
from worker.client.hearing import Hearing, reply_queue
from worker.core.errors import ConfigurationError


class Connection:
    """Holds what a client has open.

    Args:
        url: the broker's, with credentials: never shown.
        patience: seconds to wait for the broker at first; None for ever.

    Attributes:
        closed: told when it is closed.
    """

    def __init__(self, url: str, patience: float | None) -> None:
        self._url = url
        self._patience = patience
        self._queue = reply_queue()
        self._stack = AsyncExitStack()
        self._making = asyncio.Lock()
        self._consuming: Link | None = None
        self._hearing: Hearing | None = None
        self._outlet: Outlet | None = None
        self._process = 0
        self.closed = Loss()

    @property
    def reply_to(self) -> str:
        """The name of the client's own queue."""
        return self._queue.name

    @property
    def outlet(self) -> Outlet:
        """What to publish over.

        Raises:
            ClientError: the client is not entered, or was entered by another process.
        """
        self._check()
        assert self._outlet is not None  # checked
        return self._outlet

    async def open(self) -> None:
        """Connect.

        Raises:
            NotConnected: the broker was not reached in time, or refused us.
        """
        if self._outlet is not None:
            raise ClientError("the client is entered already")
        self._outlet = Outlet(await self._linked("client"))
        self._process, self.closed = os.getpid(), Loss()

    async def close(self) -> None:
        """Let go of everything; idempotent."""
        self._outlet = None
        self.closed.tell("the client was left")
        stack, self._stack = self._stack, AsyncExitStack()
        self._consuming = self._hearing = None
        await stack.aclose()

    async def hearing(self) -> Hearing:
        """Return what shares out replies; the first call sets it up.

        Raises:
            NotListening: the broker refuses the queue.
        """
        self._check()
        async with self._making:
            if self._hearing is None:
                hearing = Hearing(await self._consuming_link(), self._queue)
                await self._stack.enter_async_context(
                    self.running(hearing.subscription, keep=False)
                )
                self.closed.when(hearing.close)
                self._hearing = hearing
        return self._hearing

    async def consuming(self) -> Link:
        """Return the connection to consume over; the first call makes it.

        Raises:
            NotConnected: the broker was not reached in time, or refused us.
        """
        self._check()
        async with self._making:
            return await self._consuming_link()

    @asynccontextmanager
    async def running(self, subscription: Subscription, *, keep: bool) -> AsyncIterator[None]:
        """Run a subscription for the length of the context, which is entered once it listens.

        Raises:
            NotListening: the broker refuses it.
        """
        life = asyncio.create_task(subscription.run())
        stands = asyncio.create_task(subscription.stands.wait())
        try:
            await asyncio.wait({life, stands}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception()):
                raise NotListening(f"nothing to listen to: {error}") from None
            yield
        finally:
            if subscription.stop():
                await asyncio.wait({life}, timeout=PARTING)
            answered = await parted(life, stands)
            if not keep and answered and subscription.stands.is_set():
                # In a task of its own: what one asks that Ctrl-C has ended is broken off.
                removing = asyncio.create_task(subscription.remove())
                await asyncio.wait({removing}, timeout=PARTING)
                await parted(removing)

    def _check(self) -> None:
        if self._outlet is None:
            raise ClientError("enter the client first: async with Client(url) as aui")
        if self._process != os.getpid():
            raise ClientError(FORKED)

    async def _consuming_link(self) -> Link:
        if self._consuming is None:
            self._consuming = await self._linked("client replies")
        return self._consuming

    async def _linked(self, purpose: str) -> Link:
        try:
            async with asyncio.timeout(self._patience) as limit:
                return await self._stack.enter_async_context(linked(purpose, self._url))
        except ConfigurationError as error:
            raise NotConnected(str(error)) from None
        except TimeoutError:
            if not limit.expired():
                raise
            where = shown_url(self._url)
            raise NotConnected(f"no broker at {where} within {self._patience:g} s") from None
