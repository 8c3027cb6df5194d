"""Makes the topology on the broker, or verifies that it is there.

``declare`` needs the right to configure; ``verify`` looks passively, for production with least
privilege. Either way a broker that holds another number of partitions stops the start: bindings
of both numbers together would run moved jobs twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from aio_pika.abc import AbstractChannel

from worker.amqp.guard import NOT_FOUND, PRECONDITION_FAILED, guarded
from worker.amqp.session import Session
from worker.core.errors import ConfigurationError, LinkLost
from worker.core.topology import (
    REPARTITION,
    ExchangeSpec,
    QueueSpec,
    Topology,
    partition_queue,
    topology,
)

TopologyMode = Literal["declare", "verify"]


async def establish(
    session: Session, networks: Sequence[str], partitions: int, mode: TopologyMode
) -> None:
    """Make or verify everything that stands on the broker for these networks.

    Raises:
        ConfigurationError: the broker holds something that the settings contradict, or (when
            verifying) lacks something.
        LinkLost: the connection is gone.
    """
    if await _queue_stands(session, REPARTITION):
        raise ConfigurationError(
            "WORKER_PARTITIONS: the number is being changed: aui-worker partitions says to which,"
            " and finishes it"
        )
    for network in networks:
        await _check_partitions(session, network, partitions)
    await set_up(session, networks, partitions, mode)


async def set_up(
    session: Session, networks: Sequence[str], partitions: int, mode: TopologyMode
) -> None:
    """Make or verify everything, whatever is there of it: for a topology that has got a hole.

    Raises:
        ConfigurationError: as :func:`establish`, but for the number of partitions.
        LinkLost: the connection is gone.
    """
    objects = topology(networks, partitions)
    if mode == "verify":
        await _verify(session, objects)
    else:
        await _declare(session, objects)


async def declare_exchange(channel: AbstractChannel, exchange: ExchangeSpec) -> None:
    """Declare one exchange."""
    await guarded(
        channel.declare_exchange(
            exchange.name,
            exchange.type,
            durable=exchange.durable,
            auto_delete=exchange.auto_delete,
            arguments=dict(exchange.arguments),
        )
    )


async def _declare(session: Session, objects: Topology) -> None:
    channel = await session.channel(confirms=False)
    for exchange in objects.exchanges:
        await _explained(exchange.name, declare_exchange(channel.pika, exchange))
    # The first partition last: where it stands, all of them do, however a start was cut short.
    for queue in reversed(objects.queues):
        await _explained(queue.name, _declare_queue(channel.pika, queue))
    for binding in objects.bindings:
        bind = channel.raw.queue_bind(binding.queue, binding.exchange, binding.key)
        await _explained(binding.queue, bind)
    await channel.close()


async def _declare_queue(channel: AbstractChannel, queue: QueueSpec) -> None:
    await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))


async def _explained(name: str, operation: Awaitable[object]) -> None:
    try:
        await guarded(operation)
    except LinkLost as error:
        if error.code == PRECONDITION_FAILED:
            raise ConfigurationError(
                f"WORKER_TOPOLOGY: {name} stands on the broker with other settings: {error}"
            ) from error
        if error.code is not None:
            raise ConfigurationError(f"WORKER_TOPOLOGY: {name}: {error}") from error
        raise


async def _verify(session: Session, objects: Topology) -> None:
    names = [exchange.name for exchange in objects.exchanges]
    missing = [name for name in names if not await _exchange_stands(session, name)]
    queues = [queue.name for queue in objects.queues]
    missing += [name for name in queues if not await _queue_stands(session, name)]
    if missing:
        raise ConfigurationError(
            f"WORKER_TOPOLOGY: verify, but the broker lacks {', '.join(missing)}"
            " (aui-worker topology --definitions prints what it needs)"
        )


async def _check_partitions(session: Session, network: str, partitions: int) -> None:
    """Refuse a broker whose queues tell another number of partitions."""
    more = partition_queue(network, partitions)
    first, last = partition_queue(network, 0), partition_queue(network, partitions - 1)
    too_many = await _queue_stands(session, more)
    too_few = await _queue_stands(session, first) and not await _queue_stands(session, last)
    if too_many or too_few:
        held = "more" if too_many else "fewer"
        raise ConfigurationError(
            f"WORKER_PARTITIONS: {partitions} are set, but the broker holds {held} queues for"
            f" network {network!r}: aui-worker partitions --to changes the number"
        )


async def _exchange_stands(session: Session, name: str) -> bool:
    return await _stands(session, lambda c: c.get_exchange(name, ensure=True))


async def _queue_stands(session: Session, name: str) -> bool:
    return await _stands(session, lambda c: c.declare_queue(name, passive=True))


async def _stands(session: Session, look: Callable[[AbstractChannel], Awaitable[object]]) -> bool:
    """Look on a channel of its own: looking for what is not there closes the channel."""
    channel = await session.channel(confirms=False)
    try:
        await guarded(look(channel.pika))
    except LinkLost as error:
        if error.code == NOT_FOUND:
            return False
        raise
    await channel.close()
    return True
