"""The news of a loss: told once, to all who asked; and the end of waiting for what is gone."""

import asyncio

import pytest

from worker.amqp import loss as module
from worker.amqp.loss import Loss
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what hangs no time after the loss."""
    monkeypatch.setattr(module, "LAST_WORDS", 0.0)


def test_only_the_first_reason_counts() -> None:
    loss = Loss()
    before = bool(loss)
    loss.tell("cut")
    loss.tell("closed")
    assert (before, bool(loss), loss.why) == (False, True, "cut")


def test_all_who_asked_are_told_once_in_order_unless_they_took_it_back() -> None:
    loss, told = Loss(), list[str]()
    loss.when(lambda: told.append("first"))
    take_back = loss.when(lambda: told.append("second"))
    loss.when(lambda: told.append("third"))
    take_back()
    take_back()
    loss.tell("cut")
    loss.tell("cut again")
    assert told == ["first", "third"]


def test_whoever_asks_too_late_is_told_at_once() -> None:
    loss, told = Loss(), list[str]()
    loss.tell("cut")
    loss.when(lambda: told.append("late"))()
    assert told == ["late"]


def test_one_who_is_told_may_take_back_what_another_asked() -> None:
    loss, told = Loss(), list[str]()
    loss.when(lambda: take_back())
    take_back = loss.when(lambda: told.append("second"))
    loss.tell("cut")
    assert told == []


def test_it_is_known_to_be_lost_by_the_time_anybody_is_told() -> None:
    loss, known = Loss(), list[bool]()
    loss.when(lambda: known.append(bool(loss)))
    loss.tell("cut")
    assert known == [True]


async def test_an_operation_over_what_is_there_ends_as_ever() -> None:
    loss = Loss()

    async def broken() -> None:
        raise ZeroDivisionError

    assert await loss.ends(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ZeroDivisionError):
        await loss.ends(broken())
    loss.tell("cut")  # nobody is waiting any more
    await asyncio.sleep(0)


async def test_an_operation_that_hangs_ends_with_the_loss() -> None:
    loss = Loss()
    waiting = asyncio.create_task(loss.ends(asyncio.Event().wait()))
    await asyncio.sleep(0)
    loss.tell("cut")
    with pytest.raises(LinkLost, match="cut"):
        await waiting


async def test_an_operation_over_what_is_lost_does_not_hang() -> None:
    loss = Loss()
    loss.tell("cut")
    with pytest.raises(LinkLost, match="cut"):
        await loss.ends(asyncio.Event().wait())


async def test_an_operation_has_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error that it ends with says more than that the channel is gone."""
    monkeypatch.setattr(module, "LAST_WORDS", 60.0)
    loss, refused = Loss(), asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(loss.ends(refused))
    await asyncio.sleep(0)
    loss.tell("the channel was closed")
    refused.set_exception(LinkLost("no exchange", 404))
    with pytest.raises(LinkLost, match="no exchange") as lost:
        await waiting
    assert lost.value.code == 404


async def test_a_timeout_of_the_operation_is_its_own() -> None:
    async def slow() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Loss().ends(slow())


async def test_a_real_cancellation_stays_one() -> None:
    loss = Loss()
    waiting = asyncio.create_task(loss.ends(asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    loss.tell("cut")
    with pytest.raises(asyncio.CancelledError):
        await waiting
