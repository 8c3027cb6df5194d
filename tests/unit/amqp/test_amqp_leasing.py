"""The methods that make task exchanges are written as pamqp writes them."""

from collections.abc import Sequence

import pytest
from pamqp import commands as spec
from pamqp import frame
from pamqp.base import Frame

from worker.amqp.leases import Lease, LeaseQueue
from worker.amqp.leasing import frames

CHANNEL = 9


def methods(queue: str, network: str, task_id: str) -> Sequence[Frame]:
    """Return what makes one exchange."""
    exchange = f"aui.task.{task_id}"
    return [
        spec.Exchange.Declare(
            exchange=exchange, exchange_type="topic", auto_delete=True, nowait=True
        ),
        spec.Queue.Bind(queue=queue, exchange=exchange, routing_key="lease", nowait=True),
        spec.Exchange.Bind(
            destination=exchange,
            source="aui.replies",
            routing_key=f"{network}.*.{task_id}.*",
            nowait=True,
        ),
    ]


def test_all_but_the_last_method_are_written() -> None:
    queues = [LeaseQueue("aui.lease.w.1"), LeaseQueue("aui.lease.w.2")]
    leases = [
        Lease("default", "5f0", queue=queues[0]),
        Lease("acme", "t" * 64, queue=queues[1]),
        Lease("acme", "last", queue=queues[1]),
    ]
    expected = [
        spec.Queue.Declare(queue="aui.lease.w.1", exclusive=True, nowait=True),
        spec.Queue.Declare(queue="aui.lease.w.2", exclusive=True, nowait=True),
        *methods("aui.lease.w.1", "default", "5f0"),
        *methods("aui.lease.w.2", "acme", "t" * 64),
        *methods("aui.lease.w.2", "acme", "last")[:-1],
    ]
    written = b"".join(frames(CHANNEL, queues, leases))
    assert written == b"".join(frame.marshal(each, CHANNEL) for each in expected)


def test_a_name_that_is_too_long_is_not_written() -> None:
    lease = Lease("default", "t" * 256, queue=LeaseQueue("aui.lease.w.1"))
    with pytest.raises(ValueError, match="265 bytes"):
        frames(CHANNEL, [], [lease])
