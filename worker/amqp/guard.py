"""One gate for every AMQP await: whatever the client library raises becomes our own error.

A connection that dies by missed heartbeats makes aiormq raise a bare ``CancelledError`` out of
pending calls although nobody cancelled the caller: ``except Exception`` misses it, a TaskGroup
swallows it and a consumer loop just ends. Here it becomes :class:`~worker.core.errors.LinkLost`,
while a real cancellation and ``asyncio.timeout`` still work.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aio_pika.exceptions import (
    AMQPError,
    ChannelInvalidStateError,
    DeliveryError,
)
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp.exceptions import PAMQPException

from worker.core.errors import LinkLost

T = TypeVar("T")

ACCESS_REFUSED, NOT_FOUND, LOCKED, PRECONDITION_FAILED = 403, 404, 405, 406

_CODES: dict[type[Exception], int] = {
    ChannelAccessRefused: ACCESS_REFUSED,
    ChannelNotFoundEntity: NOT_FOUND,
    ChannelLockedResource: LOCKED,
    ChannelPreconditionFailed: PRECONDITION_FAILED,
}
_LOSSES = (
    AMQPError,
    ChannelInvalidStateError,
    PAMQPException,
    OSError,
    TimeoutError,
)


async def guarded(awaitable: Awaitable[T]) -> T:
    """Await an AMQP operation.

    Raises:
        LinkLost: the connection or channel is gone, with the broker's code where it closed the
            channel for a reason.
        DeliveryError: a publish was returned or refused (a verdict on the message, not the link).
        asyncio.CancelledError: the caller itself was cancelled.
    """
    try:
        result = await awaitable
    except DeliveryError:
        raise
    except asyncio.CancelledError as error:
        if _cancelled():
            raise
        raise LinkLost("the connection died under the operation") from error
    except _LOSSES as error:
        raise LinkLost(words_of(error), _CODES.get(type(error))) from error
    if _cancelled():
        # asyncio.wait_for of Python 3.11 swallows a cancellation that comes in the loop turn in
        # which its subject is done; whoever waits for us to end would wait for ever.
        raise asyncio.CancelledError
    return result


def _cancelled() -> bool:
    """Tell whether somebody has asked the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def words_of(error: BaseException) -> str:
    """Say in one line what a client library's exception says."""
    if isinstance(error, asyncio.CancelledError):
        return "the broker fell silent"  # the library cancels what a missed heartbeat ends
    return str(error) or repr(error)
