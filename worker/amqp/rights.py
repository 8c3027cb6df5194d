"""Finds out which rights a worker's user lacks, by asking for what nobody can have.

The broker looks at the rights first, and then at what else is wrong: it answers 403 to who may not,
and something else to who may. So nothing is made, bound, published or consumed, whatever the
answer; each is a line in the broker's log. Topic permissions show only at brokers before 4.0: later
ones look at them after all else.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pamqp import commands as spec

from worker.amqp.asking import Ask, refusals
from worker.amqp.declare import TopologyMode
from worker.amqp.guard import ACCESS_REFUSED
from worker.amqp.session import Session
from worker.core.topology import (
    DEAD,
    DROPPED,
    HUB,
    LEASE_KEY,
    ExchangeSpec,
    jobs_exchange,
    partition_queue,
    task_exchange,
    topology,
    unslotted,
)

Thing = tuple[str, str]
"""A kind and a name, as the broker tells them: exchange, queue, or the topic of a publish."""

_REFUSED = re.compile(r"access to (\w+) '([^']*)'")
_DEFAULT = "amq.default"
"""What the broker calls the default exchange where it speaks of rights."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that cannot be had.

    Attributes:
        ask: asks for it.
        rights: which right to what the broker looks at before it says so.
    """

    ask: Ask
    rights: Mapping[Thing, str]


async def lacking(session: Session, questions: Sequence[Question]) -> list[str]:
    """Return the rights that were found to lack, like ``write exchange aui.replies``.

    Raises:
        LinkLost: the connection is gone.
    """
    answers = await refusals(session, [question.ask for question in questions])
    found: dict[str, None] = {}
    for question, answer in zip(questions, answers, strict=True):
        if answer is not None and answer.code == ACCESS_REFUSED:
            found[_told(question, str(answer))] = None
    return list(found)


def questions(
    networks: Sequence[str], partitions: int, worker_id: str, mode: TopologyMode
) -> list[Question]:
    """Return what tells a worker's rights, but for those to publish.

    Of the partitions of a network only the first and the last are asked for: the rights are
    patterns of names.
    """
    edges = sorted({0, partitions - 1})
    read = [DROPPED]
    for network in networks:
        read += [*(partition_queue(network, number) for number in edges), unslotted(network)]
    made = _making(networks, partitions) if mode == "declare" else []
    return [*made, *_leasing(worker_id), *(_consume(queue) for queue in read)]


def publishing_questions(networks: Sequence[str], mode: TopologyMode) -> list[Question]:
    """Return what tells a worker's rights to publish: the broker refuses all of it."""
    keys = {HUB: f"{networks[0]}.default.check.update", DEAD: "check", "": "check"}
    asked = [_publish(exchange, key) for exchange, key in keys.items()]
    asked += [_publish(HUB, f"{network}.default.check.final") for network in networks[1:]]
    asked += [_publish(jobs_exchange(network), "check") for network in networks]
    if mode == "declare":
        # Who declares something that forwards to an exchange has to have the right to write there.
        asked += [_publish(name, "check") for name in (DROPPED, *map(unslotted, networks))]
    return asked


def _told(question: Question, refusal: str) -> str:
    found = _REFUSED.search(refusal)
    thing = found.groups() if found else ()
    right = question.rights.get((thing[0], thing[1])) if thing else None
    return " ".join((right, *thing)) if right else refusal


def _making(networks: Sequence[str], partitions: int) -> list[Question]:
    objects = topology(networks, partitions)
    inner = {partition_queue(network, n) for network in networks for n in range(1, partitions - 1)}
    bound = {(one.queue, one.exchange): None for one in objects.bindings if one.queue not in inner}
    return [
        *(_declare_exchange(exchange) for exchange in objects.exchanges),
        *(_declare_queue(queue.name) for queue in objects.queues if queue.name not in inner),
        *(_unbind(queue, exchange) for queue, exchange in bound),
    ]


def _leasing(worker_id: str) -> list[Question]:
    """Ask for the exchange of a task, its lease, and its share of the replies."""
    made_up = secrets.token_hex(8)
    task, lease = task_exchange(f"check-{made_up}"), f"aui.lease.{worker_id}.{made_up}"
    return [
        _declare_exchange(task),
        _declare_queue(lease, exclusive=True),
        Question(
            lambda raw: raw.queue_bind(lease, task.name, LEASE_KEY),
            {("queue", lease): "write", ("exchange", task.name): "read"},
        ),
        Question(
            lambda raw: raw.exchange_bind(task.name, HUB, LEASE_KEY),
            {("exchange", task.name): "write", ("exchange", HUB): "read"},
        ),
    ]


def _declare_exchange(exchange: ExchangeSpec) -> Question:
    """Ask for one with an alternate that is no name."""
    return Question(
        lambda raw: raw.exchange_declare(
            exchange.name,
            exchange_type=exchange.type,
            durable=exchange.durable,
            auto_delete=exchange.auto_delete,
            arguments={"alternate-exchange": 1},
        ),
        {("exchange", exchange.name): "configure"},
    )


def _declare_queue(name: str, *, exclusive: bool = False) -> Question:
    """Ask for one whose messages live for less than no time."""
    return Question(
        lambda raw: raw.queue_declare(
            name, durable=not exclusive, exclusive=exclusive, arguments={"x-message-ttl": -1}
        ),
        {("queue", name): "configure"},
    )


def _unbind(queue: str, exchange: str) -> Question:
    """Ask for the end of a binding that there is not."""
    key = f"check-{secrets.token_hex(8)}"
    return Question(
        lambda raw: raw.queue_unbind(queue, exchange, key),
        {("queue", queue): "write", ("exchange", exchange): "read"},
    )


def _consume(queue: str) -> Question:
    """Ask for a consumer whose priority is no number."""
    return Question(
        lambda raw: raw.basic_consume(queue, _nothing, arguments={"x-priority": "none"}),
        {("queue", queue): "read"},
    )


def _publish(exchange: str, key: str) -> Question:
    """Ask to publish in somebody else's name, with an expiration that is no number."""
    properties = spec.Basic.Properties(expiration="never", user_id="nobody at all")
    return Question(
        lambda raw: raw.basic_publish(
            b"", exchange=exchange, routing_key=key, properties=properties
        ),
        {("exchange", exchange or _DEFAULT): "write", ("topic", key): "write"},
    )


async def _nothing(_: object) -> None:
    """Take nothing: no consumer comes of it."""
