"""Who may be a crasher is done alone, but for those that say the same."""

import time
from typing import Any, cast

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.ledger import Ledger
from worker.amqp.line import ALONE_COUNT, Line
from worker.amqp.loss import Loss
from worker.amqp.session import Channel
from worker.core.envelope import Envelope, Properties


class Queue:
    """A line, and what it handed on, by tag."""

    def __init__(self) -> None:
        channel = Channel(cast(Any, None), cast(Any, None), Loss(), lambda: None)
        self.ledger = Ledger(channel, time.monotonic)
        self.handed_on: list[int] = []
        self.line = Line("q", self.ledger, lambda delivery: self.handed_on.append(delivery.tag))

    def enter(self, tag: int, slot: str, body: bytes, suspicion: int = ALONE_COUNT) -> None:
        """Put a delivery into the line."""
        self.ledger.enter(tag)
        envelope = Envelope("default", body, slot, Properties())
        self.line.enter(AmqpDelivery(envelope, self.ledger, tag, suspicion=suspicion))

    def settle(self, tag: int) -> None:
        """Be done with a delivery."""
        self.ledger.on_settled(tag)


def test_what_says_the_same_goes_with_the_one_that_is_alone() -> None:
    queue = Queue()
    queue.enter(1, "00", b"busy")
    for tag, slot, body in [
        (2, "07", b"yes"),
        (3, "09", b"yes"),
        (4, "07", b"yes"),
        (5, "07", b"no"),
        (6, "07", b"yes"),
    ]:
        queue.enter(tag, slot, body)
    assert queue.handed_on == [1]
    queue.settle(1)
    assert queue.handed_on == [1, 2, 4]  # not 3, of another slot, nor 6, behind another job
    queue.settle(2)
    assert queue.handed_on == [1, 2, 4]
    queue.settle(4)
    assert queue.handed_on == [1, 2, 4, 3]


def test_where_nobody_is_suspected_all_go_at_once() -> None:
    queue = Queue()
    for tag in (1, 2, 3):
        queue.enter(tag, "07", b"yes", suspicion=0)
    assert queue.handed_on == [1, 2, 3]
