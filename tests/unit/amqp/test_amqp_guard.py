"""The gate of every AMQP await: foreign errors in, our own out, real cancellation as it is."""

import asyncio

import pytest
from aio_pika.exceptions import AMQPConnectionError, ChannelInvalidStateError
from aiormq.exceptions import ChannelNotFoundEntity

from worker.amqp.guard import guarded, words_of
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio


async def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        AMQPConnectionError("gone"),
        ChannelInvalidStateError("closed"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_the_library_raises_is_a_lost_link(error: Exception) -> None:
    with pytest.raises(LinkLost) as lost:
        await guarded(raising(error))

    assert lost.value.__cause__ is error
    assert lost.value.code is None


async def test_the_brokers_code_is_kept() -> None:
    with pytest.raises(LinkLost) as lost:
        await guarded(raising(ChannelNotFoundEntity("no exchange")))

    assert lost.value.code == 404


async def test_a_stray_cancellation_is_a_lost_link() -> None:
    """A dying connection cancels pending calls though nobody cancelled the caller."""
    with pytest.raises(LinkLost):
        await guarded(raising(asyncio.CancelledError()))


async def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        await guarded(raising(ZeroDivisionError()))


async def test_a_real_cancellation_stays_one() -> None:
    waiting = asyncio.create_task(guarded(asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_timeout_of_the_caller_works() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await guarded(asyncio.Event().wait())


async def test_a_cancellation_that_the_library_swallows_is_not_lost() -> None:
    """asyncio.wait_for of Python 3.11 returns a result in spite of one."""

    async def deaf() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    waiting = asyncio.create_task(guarded(deaf()))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionResetError("reset"), "reset"),
        (TimeoutError(), "TimeoutError()"),
        (asyncio.CancelledError(), "the broker fell silent"),
    ],
    ids=repr,
)
def test_every_error_has_words_for_people(error: BaseException, words: str) -> None:
    assert words_of(error) == words
