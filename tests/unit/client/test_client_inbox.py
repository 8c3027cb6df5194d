"""What waits to be read: no more than a reader needs."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.told import failed, final, retrying, update
from worker.client.inbox import Inbox
from worker.client.replies import Final, Reply, Update

pytestmark = pytest.mark.anyio


async def read(inbox: Inbox) -> list[Reply]:
    """Read what is there."""
    inbox.close()
    taken = []
    while (reply := await inbox.get()) is not None:
        taken.append(reply)
    return taken


async def test_of_unread_updates_only_the_newest_is_kept() -> None:
    inbox = Inbox()
    for seq in range(1, 1000):
        inbox.put(update(1, seq, job="a"))
        inbox.put(update(1, seq, job="b"))
    assert [(r.job_id, r.seq) for r in await read(inbox)] == [("a", 999), ("b", 999)]


async def test_an_end_or_a_retry_leaves_no_text_of_the_attempt() -> None:
    inbox = Inbox()
    for reply in (update(1, 1), retrying(1, 2), update(2, 1), update(2, 2), final(2, 3)):
        inbox.put(reply)
    assert [r.place for r in await read(inbox)] == [(1, 2), (2, 3)]


async def test_the_order_is_the_one_it_came_in() -> None:
    inbox = Inbox()
    replies = [update(1, 1, job="a"), failed(1, 1, job="b"), update(1, 2, job="a")]
    for reply in replies:
        inbox.put(reply)
    assert await read(inbox) == replies[1:]


async def test_who_waits_gets_what_comes() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(final(1, 1))
    assert isinstance(await waiting, Final)


async def test_who_waits_is_told_of_the_end() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.close()
    assert await waiting is None
    inbox.put(final(1, 1))
    assert await inbox.get() is None


async def test_a_reader_that_gave_up_has_taken_nothing() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(final(1, 1))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(await inbox.get(), Final)


places = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6)), min_size=1, max_size=30)


@given(places=places)
async def test_however_replies_come_the_text_is_never_older_than_what_was_read(
    places: list[tuple[int, int]],
) -> None:
    """A reader that replaces its text by each update ends with the newest."""
    inbox, shown = Inbox(), (0, 0)
    for attempt, seq in places:
        inbox.put(update(attempt, seq, f"{attempt}.{seq}"))
    for reply in await read(inbox):
        assert isinstance(reply, Update)
        assert reply.place > shown
        shown = reply.place
    assert shown == max(places)
