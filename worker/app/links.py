"""The two links of a worker to its broker: one to consume over, one to publish over."""

from collections.abc import Awaitable

from worker.amqp.choice import Choice
from worker.amqp.declare import establish, set_up
from worker.amqp.link import Link
from worker.amqp.session import Session
from worker.settings import Settings


def links_of(settings: Settings, choice: Choice) -> tuple[Link, Link]:
    """Return them; the first makes or verifies the topology, and either mends it.

    Two, for a broker that is short of memory stops to read from who publishes, acks included.

    Args:
        settings: where, and what is to stand there.
        choice: tries on the broker how to publish.
    """
    worker = settings.worker
    wanted = list(settings.networks), worker.partitions, worker.topology

    def prepare(session: Session) -> Awaitable[None]:
        return establish(session, *wanted)

    def repair(session: Session) -> Awaitable[None]:
        return set_up(session, *wanted)

    return (
        Link("consuming", settings.amqp_url, prepare, repair, fenced=True),
        Link("publishing", settings.amqp_url, choice.prepare, repair),
    )
