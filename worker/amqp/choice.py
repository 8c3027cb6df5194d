"""Chooses between the two ways to publish."""

import asyncio
import logging
from typing import Literal

from worker.amqp.fast import FastPublishing
from worker.amqp.plain import PlainPublishing
from worker.amqp.proof import fault_of_fast
from worker.amqp.publishing import Method
from worker.amqp.session import Session
from worker.core.errors import ConfigurationError, LinkLost

Mode = Literal["auto", "fast", "plain"]
LOSSES = 3
"""Connections lost in the test after which it is the test that they are lost for."""
log = logging.getLogger(__name__)


class Choice:
    """The way to publish, chosen once, on the first connection there is.

    Args:
        mode: ``fast`` or ``plain``, or ``auto`` for the fast way if it stands its test.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._method: Method | None = PlainPublishing if mode == "plain" else None
        self._choosing = asyncio.Lock()
        self._losses = 0

    async def prepare(self, session: Session) -> None:
        """Choose now: what a :class:`~worker.amqp.link.Link` does with a new session.

        Raises:
            ConfigurationError: the fast way is asked for, and does not stand its test.
            LinkLost: the connection is gone.
        """
        await self.method(session)

    async def method(self, session: Session) -> Method:
        """Return the way to publish.

        Raises:
            ConfigurationError: the fast way is asked for, and does not stand its test.
            LinkLost: the connection is gone.
        """
        async with self._choosing:
            if self._method is None:
                self._method = await self._chosen(session)
        return self._method

    async def _chosen(self, session: Session) -> Method:
        try:
            fault = await fault_of_fast(session)
        except LinkLost as error:
            self._losses += 1
            if self._losses < LOSSES:
                raise
            fault = str(error)
        if fault is None:
            return FastPublishing
        if self._mode == "fast":
            raise ConfigurationError(f"WORKER_PUBLISHING: fast publishing does not work: {fault}")
        log.warning("publishing costs several times the usual, fast publishing fails: %s", fault)
        return PlainPublishing


PLAIN = Choice("plain")
