"""What is asked of the confirmations of a channel, asked as aiormq does."""

import asyncio
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from worker.amqp.unconfirmed import Confirmation, Unconfirmed, Updates

confirms = st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.booleans()), max_size=20)


class Reader:
    """A channel's reader: takes confirms as ``Channel._on_confirm_frame`` does."""

    def __init__(self, unconfirmed: Unconfirmed) -> None:
        self.unconfirmed = unconfirmed
        self.later: list[int] = []
        self.handed: list[int] = []

    def take(self, tag: int, *, multiple: bool) -> None:
        """Take a confirm; those of many are acted upon when the loop comes round."""
        if tag not in self.unconfirmed:
            return
        if multiple:
            tags = [each for each in self.unconfirmed.keys() if tag >= each]  # noqa: SIM118
            self.later += tags
            self.handed += tags
        else:
            self.confirm(tag)

    def come_round(self) -> None:
        """Act upon what was left for later."""
        while self.later:
            self.confirm(self.later.pop(0))

    def confirm(self, tag: int) -> None:
        """Act upon one confirm, as ``Channel._confirm_delivery`` does."""
        if tag not in self.unconfirmed:
            return
        confirmation = self.unconfirmed.pop(tag)
        assert not confirmation.done()
        confirmation.set_result(None)


def ledger(updates: Iterable[bool], loop: asyncio.AbstractEventLoop) -> Unconfirmed:
    """Return what is unconfirmed: updates and awaited publishes, as these say."""
    counting = Updates(100, lambda: 0.0)
    unconfirmed = Unconfirmed(counting)
    for tag, update in enumerate(updates, start=1):
        if update:
            counting.sent()
        unconfirmed[tag] = counting.confirmation if update else loop.create_future()
    return unconfirmed


@given(st.lists(st.booleans(), min_size=1, max_size=12), confirms)
@example([False, False], [(1, True, False), (2, True, False)])
def test_everything_is_confirmed_once_by_the_first_confirm_that_covers_it(
    updates: list[bool], confirms: list[tuple[int, bool, bool]]
) -> None:
    loop = asyncio.new_event_loop()
    try:
        unconfirmed = ledger(updates, loop)
        kept: dict[int, Confirmation] = dict(unconfirmed.items())
        reader, expected = Reader(unconfirmed), set(kept)
        for tag, multiple, comes_round in confirms:
            if tag in expected:
                expected -= {each for each in expected if each == tag or (multiple and each < tag)}
            reader.take(tag, multiple=multiple)
            if comes_round:
                reader.come_round()
        reader.come_round()
        assert set(unconfirmed) == expected
        assert len(reader.handed) == len(set(reader.handed))
        assert unconfirmed.updates.updates == sum(updates[tag - 1] for tag in expected)
        awaited = {tag for tag in kept if not updates[tag - 1]}
        assert {tag for tag in awaited if not kept[tag].done()} == expected & awaited
    finally:
        loop.close()


def test_a_refusal_of_many_is_taken_like_a_confirm() -> None:
    """The channel tells it the same way."""
    counting = Updates(2, lambda: 0.0)
    counting.sent()
    counting.set_exception(ValueError())
    assert (counting.updates, counting.done(), counting.cancelled()) == (0, False, False)
