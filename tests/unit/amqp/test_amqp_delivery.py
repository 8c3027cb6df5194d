"""A delivery is only begun while its channel is known to be alive."""

import time
from typing import Any, cast

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.ledger import Ledger
from worker.amqp.loss import Loss
from worker.amqp.session import Channel
from worker.core.envelope import Envelope


def delivery_over(loss: Loss, *, silent: bool) -> AmqpDelivery:
    """Return a delivery that came over a channel whose broker may have fallen silent since."""

    def check() -> None:
        if silent:
            loss.tell("the broker has not answered for 8 s")

    ledger = Ledger(Channel(cast(Any, None), cast(Any, None), loss, check), time.monotonic)
    ledger.enter(1)
    return AmqpDelivery(Envelope("default", b"{}"), ledger, 1)


def test_it_is_begun_while_the_broker_answers() -> None:
    loss = Loss()
    delivery = delivery_over(loss, silent=False)
    assert (delivery.claim(), delivery.lost, loss.why) == (True, False, None)


def test_it_is_not_begun_once_the_broker_has_been_silent_for_too_long() -> None:
    loss = Loss()
    assert not delivery_over(loss, silent=True).claim()
    assert loss.why == "the broker has not answered for 8 s"


def test_it_is_lost_once_the_broker_has_been_silent_for_too_long() -> None:
    assert delivery_over(Loss(), silent=True).lost
