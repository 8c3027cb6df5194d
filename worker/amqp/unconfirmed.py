"""The publishes of a channel that are unconfirmed, in place of the futures the channel expects.

A future for each update costs more than everything else about it. One object stands for all of
them, and counts.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from worker.amqp.tally import Tally

Confirmation = asyncio.Future[object]


class Updates(Tally):
    """Stands for every unconfirmed update, where a future is due.

    It does what the channel does to a future there: it is asked whether it is done, and told of
    an ack or a nack. When the channel is closed it is told nothing.
    """

    def __init__(self, window: int, now: Callable[[], float]) -> None:
        super().__init__(window, now)
        self.confirmation = cast(Confirmation, self)

    def done(self) -> bool:
        """Tell whether somebody has ended it before."""
        return False

    def cancelled(self) -> bool:
        """Tell whether nobody waits for it any more."""
        return False

    def set_result(self, _: object) -> None:
        """Take an ack."""
        self.confirmed()

    def set_exception(self, _: object) -> None:
        """Take a nack: the next update holds the text of this one."""
        self.confirmed()


class Unconfirmed(dict[int, Confirmation]):
    """``Channel.confirmations``: what is unconfirmed, by delivery tag.

    To a confirm of many the channel asks whether its tag is in here, and then for all tags, of
    which it takes those that are not greater; it does so again for the next confirm, though it
    strikes nothing out before the loop comes round. Here it gets each tag once, and of updates
    none: they are struck out at once.

    Attributes:
        updates: what stands for the updates in here.
    """

    def __init__(self, updates: Updates) -> None:
        super().__init__()
        self.updates = updates
        self._asked = 0
        self._told = 0

    def __contains__(self, tag: object) -> bool:
        self._asked = cast(int, tag)
        return super().__contains__(tag)

    def keys(self) -> list[int]:  # type: ignore[override]  # all that the channel does is iterate
        """Return the tags up to the one that was asked for last, and no update's."""
        confirmation, awaited, count = self.updates.confirmation, list[int](), 0
        for tag in range(self._told + 1, self._asked + 1):
            kept = self.get(tag)
            if kept is confirmation:
                del self[tag]
                count += 1
            elif kept is not None:
                awaited.append(tag)
        self._told = max(self._told, self._asked)
        if count:
            self.updates.confirmed(count)
        return awaited
