"""Publishes copies of jobs: dead letters, and jobs on their way to another queue."""

from dataclasses import replace

from worker.amqp.choice import PLAIN, Choice
from worker.amqp.link import Link
from worker.amqp.messages import copy_message
from worker.amqp.outlet import Outlet
from worker.core.envelope import Properties
from worker.core.headers import ATTEMPT_BASE, MAYBE_SENT
from worker.core.job import ATTEMPTS_PER_DELIVERY
from worker.core.topology import DEAD, jobs_exchange


class JobCopies:
    """Implements :class:`worker.relay.ports.Copies` over one link.

    Args:
        link: the connection.
        choice: how to publish.
    """

    def __init__(self, link: Link, choice: Choice = PLAIN) -> None:
        self._outlet = Outlet(link, choice)

    async def to_dead(self, key: str, body: bytes, properties: Properties) -> None:
        """Keep a dead letter; tries until the broker has it."""
        await self._outlet.place_surely(DEAD, key, copy_message(body, properties))

    async def to_slot(self, network: str, slot: str, body: bytes, properties: Properties) -> None:
        """Queue a job in the partition of its slot; tries until the broker has it.

        Once a confirm was lost two copies may arrive, so the later ones say that the job may have
        been sent, and number their attempts behind those of the first.
        """
        base = int(properties.headers.get(ATTEMPT_BASE, 0)) + ATTEMPTS_PER_DELIVERY
        marked = {**properties.headers, MAYBE_SENT: True, ATTEMPT_BASE: base}
        await self._outlet.place_surely(
            jobs_exchange(network),
            slot,
            copy_message(body, properties),
            again=copy_message(body, replace(properties, headers=marked)),
        )
