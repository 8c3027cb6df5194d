"""Hands deliveries on in order: all at once, or in single file where one may be a crasher.

What a worker leaves behind when it dies is handed out again, the job that killed it among its
neighbours. From the third time on such jobs are taken in single file: those before the crasher are
done and go free, and it dies alone.

They are all fetched nevertheless. The broker puts what it gets back behind all else that it has
got back: a job fetched alone (with prefetch 1) and given back would be overtaken by the later
messages of its own task. Fetched and given back together, they keep their order.
"""

import logging
from collections import deque
from collections.abc import Callable

from worker.amqp.delivery import AmqpDelivery
from worker.core.envelope import Envelope

SUSPECT_COUNT = 3
"""Deliveries without an ack from which on a job may be what ends its workers: fewer happen to
everybody in a rolling update, and the delivery limit (20) leaves room for finding out."""


log = logging.getLogger(__name__)


class Line:
    """The deliveries of one channel.

    Args:
        queue: where they come from, for the log.
        hand_on: takes a delivery to be worked on; must not block.
        single_file: take suspects one at a time.
    """

    def __init__(
        self, queue: str, hand_on: Callable[[AmqpDelivery], None], *, single_file: bool
    ) -> None:
        self._queue = queue
        self._hand_on = hand_on
        self._single_file = single_file
        self._waiting: deque[AmqpDelivery] = deque()
        self._alone: int | None = None
        self._warned = False

    def enter(self, delivery: AmqpDelivery) -> None:
        """Take in a delivery, in the order of the queue."""
        self._waiting.append(delivery)
        self._move()

    def settled(self, tag: int) -> None:
        """Let the next ones go on once the one that was alone is done with."""
        if tag == self._alone:
            self._alone = None
            self._move()

    def _move(self) -> None:
        while self._waiting and self._alone is None:
            delivery = self._waiting.popleft()
            if self._single_file and is_suspect(delivery.envelope):
                self._alone = delivery.tag
                self._warn(delivery.envelope)
            self._hand_on(delivery)

    def _warn(self, envelope: Envelope) -> None:
        if not self._warned:
            log.warning(
                "%s: a job was handed out %d times and not settled; taking such in single file",
                self._queue,
                envelope.delivery_count,
            )
        self._warned = True


def is_suspect(envelope: Envelope) -> bool:
    """Tell whether a job may be one that ends its workers.

    The broker says itself that it hands it out again: a count alone may be a producer's header.
    """
    return envelope.redelivered and envelope.delivery_count >= SUSPECT_COUNT
