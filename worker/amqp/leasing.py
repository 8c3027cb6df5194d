"""Makes task exchanges on the broker, and leases them: many at once, in one round trip.

All methods but the last are sent with no-wait, which the broker does not answer, and it takes the
methods of one channel in order: the answer to the last one says that all went well. An error
closes the channel, and does not tell whose it was.
"""

from collections.abc import Sequence
from struct import Struct

from aiormq import spec
from aiormq.abc import AbstractChannel, ChannelFrame
from pamqp.base import Frame
from pamqp.constants import FRAME_END_CHAR, FRAME_METHOD

from worker.amqp.encoding import short
from worker.amqp.guard import guarded
from worker.amqp.leases import Lease, LeaseQueue
from worker.amqp.session import Channel
from worker.core.errors import LinkLost
from worker.core.topology import HUB, LEASE_KEY, task_exchange, task_key

_METHOD = Struct(">BHIIH").pack
"""Type, channel, size, class and method, and the ticket that all methods used here begin with."""
_IDS_AND_TICKET = 6
_NO_ARGUMENTS = bytes(4)
_AUTO_DELETE_NOWAIT, _EXCLUSIVE_NOWAIT, _NOWAIT = b"\x14", b"\x14", b"\x01"
"""The flags of ``exchange.declare``, ``queue.declare`` and the binds; AMQP 0-9-1, 1.5 and 1.7."""


async def make(channel: Channel, leases: Sequence[Lease], *, fast: bool) -> None:
    """Declare the exchange of each, lease it and bind it to the hub.

    Args:
        channel: what to do it over; nobody else uses it.
        leases: at least one, each with its queue, which is declared where it does not stand.
        fast: send all but the last method in one write, past aiormq, which would make a task and
            a write of each.

    Raises:
        LinkLost: the connection is gone; or one of them cannot be made, as its code says.
    """
    raw, last = channel.raw, leases[-1]
    missing = {lease.queue: None for lease in leases if lease.queue and not lease.queue.stands}
    queues = list(missing)
    if not (fast and _write(raw, queues, leases)):
        await _call(raw, queues, leases)
    exchange, key = task_exchange(last.task_id).name, task_key(last.network, last.task_id)
    await guarded(raw.exchange_bind(exchange, HUB, key))
    if channel.lost:
        raise LinkLost(channel.lost.why or "lost")
    for queue in queues:
        queue.stands = True


async def _call(
    raw: AbstractChannel, queues: Sequence[LeaseQueue], leases: Sequence[Lease]
) -> None:
    """Send all methods but the last, each by itself."""
    for queue in queues:
        await guarded(raw.queue_declare(queue.name, exclusive=True, nowait=True))
    for lease in leases:
        exchange = task_exchange(lease.task_id)
        await guarded(
            raw.exchange_declare(
                exchange.name,
                exchange_type=exchange.type,
                durable=exchange.durable,
                auto_delete=exchange.auto_delete,
                nowait=True,
            )
        )
        await guarded(raw.queue_bind(_queue(lease), exchange.name, LEASE_KEY, nowait=True))
        if lease is not leases[-1]:
            key = task_key(lease.network, lease.task_id)
            await guarded(raw.exchange_bind(exchange.name, HUB, key, nowait=True))


def _write(raw: AbstractChannel, queues: Sequence[LeaseQueue], leases: Sequence[Lease]) -> bool:
    """Send all methods but the last in one write, if the connection has room for that and the last.

    Raises:
        LinkLost: the broker has closed the channel: frames would now end the connection.
    """
    connection = raw.connection
    if connection.channels.get(raw.number) is not raw:
        raise LinkLost("the channel was closed")
    if connection.write_queue.qsize() + 1 >= connection.write_queue.maxsize:
        return False
    payload = b"".join(frames(raw.number, queues, leases))
    connection.write_queue.put_nowait(ChannelFrame(payload=payload, should_close=False))
    return True


def frames(channel: int, queues: Sequence[LeaseQueue], leases: Sequence[Lease]) -> Sequence[bytes]:
    """Return the frames of all methods but the last: they are what pamqp writes.

    Raises:
        ValueError: a name is too long.
    """

    def method(kind: type[Frame], *arguments: bytes) -> None:
        size = _IDS_AND_TICKET + sum(map(len, arguments))
        written.append(_METHOD(FRAME_METHOD, channel, size, kind.index, 0))
        written.extend(arguments)
        written.append(FRAME_END_CHAR)

    written: list[bytes] = []
    hub, key = short(HUB), short(LEASE_KEY)
    for queue in queues:
        method(spec.Queue.Declare, short(queue.name), _EXCLUSIVE_NOWAIT, _NO_ARGUMENTS)
    for lease in leases:
        spec_of = task_exchange(lease.task_id)
        name, kind = short(spec_of.name), short(spec_of.type)
        method(spec.Exchange.Declare, name, kind, _AUTO_DELETE_NOWAIT, _NO_ARGUMENTS)
        method(spec.Queue.Bind, short(_queue(lease)), name, key, _NOWAIT, _NO_ARGUMENTS)
        if lease is not leases[-1]:
            to = short(task_key(lease.network, lease.task_id))
            method(spec.Exchange.Bind, name, hub, to, _NOWAIT, _NO_ARGUMENTS)
    return written


def _queue(lease: Lease) -> str:
    assert lease.queue is not None  # it was given a place
    return lease.queue.name
