"""Takes deliveries as the broker hands them over, decodes them, and puts each into its lane."""

import logging
import uuid
from collections.abc import Callable, Hashable

from worker.core.dropped import base_of_dropped, dropped_from
from worker.core.errors import InvalidJob
from worker.core.expiry import expires_at
from worker.core.job import ATTEMPTS_PER_DELIVERY, Job, Request, address_of, decode
from worker.core.job_properties import JobRules
from worker.core.slots import in_place
from worker.core.verdict import Source, judge
from worker.relay.lanes import Lanes
from worker.relay.ports import Clock, Delivery
from worker.relay.received import Received

POISON_COUNT = 10
"""Deliveries without an end after which the first job of a queue is what ends the workers; the
others were only beside it. Half the broker's limit."""
log = logging.getLogger(__name__)


class Intake:
    """Receives from jobs queues and from ``aui.dropped``.

    Args:
        lanes: where received jobs wait for their turn.
        rules: the contract's limits.
        partitions: the number of partitions a slot is mapped to.
        clock: the time.
        new_id: makes ids for jobs that came without one.
    """

    def __init__(
        self,
        lanes: Lanes[Received],
        rules: JobRules,
        partitions: int,
        clock: Clock,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._lanes = lanes
        self._rules = rules
        self._partitions = partitions
        self._clock = clock
        self._new_id = new_id

    def receive(self, delivery: Delivery) -> None:
        """Take a delivery of a jobs queue; never raises."""
        received = self._decoded(delivery)
        self._lanes.put(self._lane(received), received)

    def receive_dropped(self, delivery: Delivery) -> None:
        """Take a job that the broker gave up: it only gets its dead letter; never raises."""
        envelope, verdict = dropped_from(delivery.envelope)
        address = address_of(envelope, self._rules, self._new_id)
        base = base_of_dropped(envelope)
        received = Received(delivery, address, base, problem=verdict, at=delivery.at)
        operation = received.operation
        received.on_hub = operation is None or operation.is_turn
        self._lanes.put(("dropped", address.network, address.task_id), received)

    def _decoded(self, delivery: Delivery) -> Received:
        envelope = delivery.envelope
        try:
            asked = decode(envelope, self._rules, self._new_id)
        except InvalidJob as error:
            problem = judge(Source.INVALID_JOB, detail=str(error))
        except Exception as error:
            log.exception("a bug while decoding a job")
            problem = judge(Source.BUG, detail=type(error).__name__)
        else:
            return self._taken(delivery, asked)
        address = address_of(envelope, self._rules, self._new_id)
        base = ATTEMPTS_PER_DELIVERY * envelope.delivery_count
        return Received(delivery, address, base, problem=problem, on_hub=False, at=delivery.at)

    def _taken(self, delivery: Delivery, asked: Job | Request) -> Received:
        envelope = delivery.envelope
        poison = None
        if delivery.first and delivery.suspicion >= POISON_COUNT:
            times = envelope.delivery_count + 1
            poison = judge(Source.POISON, detail=f"delivered {times} times without an end")
        return Received(
            delivery,
            asked.address,
            asked.attempt_base,
            job=asked if isinstance(asked, Job) else None,
            request=asked if isinstance(asked, Request) else None,
            problem=poison,
            on_hub=isinstance(asked, Job),
            at=delivery.at,
            expires_at=expires_at(envelope.properties, self._clock.utc().timestamp()),
        )

    def _lane(self, received: Received) -> Hashable:
        """Name the lane: the task's, the user's, or that of jobs on their way to either.

        Forwarding has lanes of its own, so that a long turn never holds up a queue of jobs that
        are only to be moved on. So has what is only read, or is no job.
        """
        address, routing_key = received.address, received.delivery.envelope.routing_key
        if received.asked is None:
            return ("invalid", address.job_id)
        if received.request is not None and received.request.operation.is_read:
            return ("read", address.network, address.job_id)
        if address.task_id is not None:
            kind, key = "task", address.task_id
        else:
            kind, key = "user", address.user_id or ""
        placed = in_place(key, routing_key, self._partitions)
        return (kind if placed else f"forward {kind}", address.network, key)
