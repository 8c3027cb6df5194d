"""Everything the worker declares on the broker, as data, and the names in it.

``worker.amqp.declare`` makes or verifies it, ``aui-worker topology`` prints it, and
:func:`definitions` writes it as RabbitMQ's ``definitions.json``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.core.slots import SLOTS, partition_of

DEFAULT_NETWORK = "default"
UNSLOTTED = "unslotted"

HUB = "aui.replies"
DEAD = "aui.dead"
DROPPED = "aui.dropped"
UNCLAIMED = "aui.unclaimed"
REPARTITION = "aui.repartition"
"""A queue that stands only while the number of partitions is being changed: no worker may start."""
LEASE_KEY = "lease"
"""Binds a lease queue to a task exchange and matches no reply: they have four words."""

DELIVERY_LIMIT = 20
"""Explicit: RabbitMQ 3.10 has no default, and without one a returned job goes to the back."""
LOOKING_LIMIT = 1_000_000
"""Delivery limit of queues that people and workers look into: looking must not drop a message."""
DEAD_TTL_MS = 14 * 24 * 3600 * 1000
UNCLAIMED_TTL_MS = 24 * 3600 * 1000
UNCLAIMED_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """An exchange to declare."""

    name: str
    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    durable: bool = True
    auto_delete: bool = False


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A durable queue to declare."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BindingSpec:
    """A binding of a queue to an exchange."""

    exchange: str
    queue: str
    key: str


@dataclass(frozen=True, slots=True)
class Topology:
    """All standing objects of a set of networks."""

    exchanges: Sequence[ExchangeSpec]
    queues: Sequence[QueueSpec]
    bindings: Sequence[BindingSpec]


def jobs_exchange(network: str) -> str:
    """Return the exchange producers publish a network's jobs to."""
    return "aui.jobs" if network == DEFAULT_NETWORK else f"aui.jobs.{network}"


def partition_queue(network: str, partition: int) -> str:
    """Return the queue of one partition."""
    return f"{jobs_exchange(network)}.p{partition:02d}"


def unslotted(network: str) -> str:
    """Return the exchange, and the queue, of jobs whose routing key was no slot."""
    return f"{jobs_exchange(network)}.{UNSLOTTED}"


def network_of_queue(queue: str) -> str:
    """Return the network a jobs queue belongs to (the broker tells it of a dropped job)."""
    words = queue.removeprefix("aui.jobs.").split(".")
    return words[0] if len(words) > 1 else DEFAULT_NETWORK


def task_exchange(task_id: str) -> ExchangeSpec:
    """Return the exchange of one task: gone when nobody is bound to it any more."""
    return ExchangeSpec(f"aui.task.{task_id}", "topic", durable=False, auto_delete=True)


def task_key(network: str, task_id: str) -> str:
    """Return the key that binds a task exchange to the hub: of any channel, and of any kind."""
    # No "#" where "*" says the same: the broker tries each of the words that it may stand for.
    return f"{network}.*.{task_id}.*"


def topology(networks: Sequence[str], partitions: int) -> Topology:
    """Return everything that stands on the broker for these networks.

    Args:
        networks: their names.
        partitions: queues per network, a power of two up to 256.
    """
    exchanges = [
        ExchangeSpec(HUB, "topic"),
        ExchangeSpec(DEAD, "topic"),
        ExchangeSpec(DROPPED, "fanout"),
    ]
    queues = [
        QueueSpec(DEAD, _kept({"x-message-ttl": DEAD_TTL_MS})),
        QueueSpec(DROPPED, _kept({"x-single-active-consumer": True})),
        QueueSpec(
            UNCLAIMED,
            _kept({"x-message-ttl": UNCLAIMED_TTL_MS, "x-max-length-bytes": UNCLAIMED_MAX_BYTES}),
        ),
    ]
    bindings = [BindingSpec(DEAD, DEAD, "#"), BindingSpec(DROPPED, DROPPED, "")]
    for network in networks:
        jobs, strays = jobs_exchange(network), unslotted(network)
        exchanges += [
            ExchangeSpec(jobs, "direct", {"alternate-exchange": strays}),
            ExchangeSpec(strays, "fanout"),
        ]
        queues += [
            QueueSpec(partition_queue(network, partition), _JOBS) for partition in range(partitions)
        ]
        queues.append(QueueSpec(strays, _JOBS))
        bindings.append(BindingSpec(strays, strays, ""))
        bindings += slot_bindings(network, partitions)
    return Topology(exchanges, queues, bindings)


def slot_bindings(network: str, partitions: int) -> list[BindingSpec]:
    """Return how the slots of a network are bound to its partitions."""
    slots = [f"{slot:02x}" for slot in range(SLOTS)]
    return [
        BindingSpec(
            jobs_exchange(network), partition_queue(network, partition_of(slot, partitions)), slot
        )
        for slot in slots
    ]


def definitions(objects: Topology, vhost: str = "/") -> dict[str, Any]:
    """Write a topology as a RabbitMQ definitions file."""
    return {
        "exchanges": [
            {
                "name": exchange.name,
                "vhost": vhost,
                "type": exchange.type,
                "durable": exchange.durable,
                "auto_delete": exchange.auto_delete,
                "internal": False,
                "arguments": dict(exchange.arguments),
            }
            for exchange in objects.exchanges
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": vhost,
                "durable": True,
                "auto_delete": False,
                "arguments": dict(queue.arguments),
            }
            for queue in objects.queues
        ],
        "bindings": [
            {
                "source": binding.exchange,
                "vhost": vhost,
                "destination": binding.queue,
                "destination_type": "queue",
                "routing_key": binding.key,
                "arguments": {},
            }
            for binding in objects.bindings
        ],
    }


_JOBS: Mapping[str, Any] = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DROPPED,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def _kept(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"x-queue-type": "quorum", "x-delivery-limit": LOOKING_LIMIT, **arguments}
