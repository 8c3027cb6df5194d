"""Hands deliveries on in order: all at once, or one after another where one may be a crasher.

What a worker leaves behind when it dies is handed out again, the job that killed it among its
neighbours. From the third time on such jobs begin one after another, a moment apart, so that those
that are done at once go free; from the sixth on each is alone until it is done, so that the crasher
dies alone, as the first that comes again. What waits for its turn when a worker dies is counted,
too, and must not be slowed down for ever: hence the two steps.

What says the same as the one that is alone goes with it, and waits in the lane of their task: two
equal messages in a row are told apart in a history only where both are known.

They are all fetched nevertheless. The broker puts what it gets back behind all else that it has
got back: a job fetched alone (with prefetch 1) and given back would be overtaken by the later
messages of its own task. Fetched and given back together, they keep their order.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.ledger import Ledger

SUSPECT_COUNT = 3
ALONE_COUNT = 6
"""Deliveries without an ack from which on a job begins apart from others, and is done alone."""
APART = 0.1
"""Seconds between the beginnings of two suspects."""
log = logging.getLogger(__name__)


class Line:
    """The deliveries of one channel.

    Args:
        queue: where they come from, for the log.
        ledger: keeps account of them.
        hand_on: takes a delivery to be worked on; must not block.
    """

    def __init__(self, queue: str, ledger: Ledger, hand_on: Callable[[AmqpDelivery], None]) -> None:
        self._queue = queue
        self._ledger = ledger
        self._hand_on = hand_on
        self._waiting: deque[AmqpDelivery] = deque()
        self._begun: set[int] = set()
        self._alone = False
        self._pause: asyncio.TimerHandle | None = None
        self._warned = False
        ledger.on_settled = self._settled

    def enter(self, delivery: AmqpDelivery) -> None:
        """Take in a delivery, in the order of the queue."""
        self._waiting.append(delivery)
        self._move()

    def _settled(self, tag: int) -> None:
        self._begun.discard(tag)
        if not self._begun:
            self._alone = False
            self._go_on()

    def _go_on(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._move()

    def _move(self) -> None:
        """Hand on whatever may begin now."""
        while self._waiting and self._ledger.open and not self._alone and self._pause is None:
            suspicion = self._waiting[0].suspicion
            if suspicion >= ALONE_COUNT and self._begun:
                return
            delivery = self._waiting.popleft()
            self._alone = suspicion >= ALONE_COUNT
            if SUSPECT_COUNT <= suspicion < ALONE_COUNT:
                self._pause = asyncio.get_running_loop().call_later(APART, self._go_on)
            twins = self._twins_of(delivery) if self._alone else []
            self._warn(suspicion)
            for each in (delivery, *twins):
                self._begun.add(each.tag)
                self._hand_on(each)

    def _twins_of(self, delivery: AmqpDelivery) -> list[AmqpDelivery]:
        """Take out what waits with the same slot and body, up to another job of that slot.

        All jobs of a task have one slot: so none overtakes another of its task.
        """
        twins = []
        for each in list(self._waiting):
            if each.envelope.routing_key != delivery.envelope.routing_key:
                continue
            if each.envelope.body != delivery.envelope.body:
                break
            self._waiting.remove(each)
            twins.append(each)
        return twins

    def _warn(self, suspicion: int) -> None:
        if suspicion >= SUSPECT_COUNT and not self._warned:
            self._warned = True
            log.warning(
                "%s: a job was handed out %d times and not settled; such begin one after another",
                self._queue,
                suspicion,
            )
