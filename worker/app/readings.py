"""Where the gauges are read: the parts of a worker, looked at when somebody asks.

The exporter that pushes looks from a thread of its own: nothing here iterates over what changes.
"""

from collections.abc import Callable, Mapping, Sequence

from worker.amqp.consumer import QueueConsumer
from worker.amqp.link import Link
from worker.amqp.publisher import ReplyPublisher
from worker.app.flow import Flow
from worker.aui.agent import AuiAgent
from worker.telemetry.metrics import Readings


def readings_of(
    flow: Flow,
    agents: Mapping[str, AuiAgent],
    links: Sequence[Link],
    publisher: ReplyPublisher,
    consumers: Mapping[str, Sequence[QueueConsumer]],
    ready: Callable[[], bool],
) -> Readings:
    """Return the readings of a worker.

    Args:
        flow: the flow of its jobs.
        agents: AUI, by network.
        links: its connections to the broker.
        publisher: publishes its replies.
        consumers: of each network, by its name.
        ready: whether it is.
    """
    lanes, gate = flow.lanes, flow.gate

    def brown() -> Mapping[str, bool]:
        out = gate.brown()
        return {name: name in out for name in agents}

    def partitions() -> Mapping[tuple[str, str], bool]:
        return {
            (network, each.queue): each.consuming
            for network, own in consumers.items()
            for each in own
        }

    return Readings(
        in_flight=lambda: lanes.running,
        waiting=lambda: lanes.waiting,
        pending=lambda: publisher.pending,
        ready=ready,
        brown=brown,
        conversations=lambda: {name: each.conversations for name, each in agents.items()},
        sockets_kept=lambda: {name: each.sockets_kept for name, each in agents.items()},
        links_up=lambda: {each.purpose: each.up for each in links},
        links_blocked=lambda: {each.purpose: each.blocked for each in links},
        partitions=partitions,
    )
