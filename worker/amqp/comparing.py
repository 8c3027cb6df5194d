"""Compares what stands on the broker with what a worker would declare, and makes nothing.

What stands is declared once more as it should be: the broker says whether it is the same. Bindings
cannot be looked at over AMQP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.amqp.asking import Ask, refusals
from worker.amqp.guard import ACCESS_REFUSED, NOT_FOUND
from worker.amqp.session import Session
from worker.core.errors import LinkLost
from worker.core.topology import ExchangeSpec, QueueSpec, Topology


@dataclass(frozen=True, slots=True)
class Compared:
    """How what stands differs from what should.

    Attributes:
        standing: how much of it is there.
        missing: what is not there.
        different: the broker's words about what is there otherwise.
        hidden: how many could not be compared, for want of the right to configure them.
    """

    standing: int
    missing: Sequence[str]
    different: Sequence[str]
    hidden: int


async def compare(session: Session, objects: Topology) -> Compared:
    """Compare exchanges and queues.

    Raises:
        LinkLost: the connection is gone.
    """
    things: list[ExchangeSpec | QueueSpec] = [*objects.exchanges, *objects.queues]
    looks = await refusals(session, [_asking(thing, passive=True) for thing in things])
    seen = list(zip(things, looks, strict=True))
    stand = [thing for thing, refused in seen if refused is None]
    answers = await refusals(session, [_asking(thing, passive=False) for thing in stand])
    others = [refused for _, refused in seen if refused and refused.code != NOT_FOUND]
    others += [refused for refused in answers if refused and refused.code != ACCESS_REFUSED]
    return Compared(
        standing=len(stand),
        missing=[_named(thing) for thing, refused in seen if refused and refused.code == NOT_FOUND],
        different=[_words(refused) for refused in others],
        hidden=sum(refused is not None and refused.code == ACCESS_REFUSED for refused in answers),
    )


def _asking(thing: ExchangeSpec | QueueSpec, *, passive: bool) -> Ask:
    if isinstance(thing, QueueSpec):
        return lambda raw: raw.queue_declare(
            thing.name, passive=passive, durable=True, arguments=dict(thing.arguments)
        )
    return lambda raw: raw.exchange_declare(
        thing.name,
        exchange_type=thing.type,
        passive=passive,
        durable=thing.durable,
        auto_delete=thing.auto_delete,
        arguments=dict(thing.arguments),
    )


def _named(thing: ExchangeSpec | QueueSpec) -> str:
    return f"{'queue' if isinstance(thing, QueueSpec) else 'exchange'} {thing.name}"


def _words(refused: LinkLost) -> str:
    return str(refused).removeprefix("PRECONDITION_FAILED - ")
