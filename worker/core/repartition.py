"""Whether the number of partitions may be changed now, from what stands on the broker.

While it is changed no worker may run: bound to two queues a job would run twice, and a worker of
the old number would bind its slots again. Nor may a partition hold a job: it would be worked off
apart from the later ones of its task. The *plan* is kept on the broker until all of it is done.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from worker.core.topology import BindingSpec, slot_bindings


@dataclass(frozen=True, slots=True)
class Standing:
    """A queue as it stands on the broker.

    Attributes:
        name: its name.
        ready: jobs that nobody has been handed.
        consumed: a worker has it.
    """

    name: str
    ready: int
    consumed: bool


@dataclass(frozen=True, slots=True)
class NetworkStanding:
    """The jobs queues of one network.

    Attributes:
        network: its name.
        partitions: those that stand, by number.
        unslotted: the queue of jobs whose key was no slot, if it stands.
    """

    network: str
    partitions: Mapping[int, Standing]
    unslotted: Standing | None

    @property
    def number(self) -> int | None:
        """The number of partitions; None if what stands is no whole set."""
        count = len(self.partitions)
        whole = count > 0 and not count & (count - 1) and max(self.partitions) == count - 1
        return count if whole else None

    @property
    def queues(self) -> Sequence[Standing]:
        """All that stand."""
        return [*self.partitions.values(), *([self.unslotted] if self.unslotted else [])]


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that has been begun.

    Attributes:
        to: the new number.
        before: the old number of each network that has another one.
        decided: all that was bound is unbound and was empty: there is no way back.
    """

    to: int
    before: Mapping[str, int]
    decided: bool = False


def plan_of(networks: Sequence[NetworkStanding], to: int) -> Plan:
    """Return what is to be changed; networks of which nothing stands are left out.

    Raises:
        ValueError: a network's queues are no whole set.
    """
    before = {}
    for one in networks:
        if one.partitions and one.number is None:
            raise ValueError(
                f"network {one.network}: {len(one.partitions)} partitions stand, which is no whole"
                " set: start a worker with the right WORKER_PARTITIONS once"
            )
        if one.number not in (None, to):
            before[one.network] = one.number
    return Plan(to, before)


def connected(queues: Sequence[Standing]) -> str | None:
    """Say which queues a worker has, if any does."""
    names = [queue.name for queue in queues if queue.consumed]
    return f"workers are connected, stop them first: they consume {_some(names)}" if names else None


def occupied(queues: Sequence[Standing]) -> str | None:
    """Say which queues hold a job, if any does."""
    held = [f"{queue.name} ({queue.ready})" for queue in queues if queue.ready]
    return f"jobs are queued, let the workers finish them first: {_some(held)}" if held else None


def misplaced(network: str, before: int, to: int) -> list[BindingSpec]:
    """Return the bindings that are wrong under the new number."""
    right = set(slot_bindings(network, to))
    return [bound for bound in slot_bindings(network, before) if bound not in right]


def written(plan: Plan) -> bytes:
    """Write a plan, to be kept."""
    return json.dumps(asdict(plan)).encode("ascii")


def read(kept: bytes) -> Plan:
    """Read a plan that was kept."""
    return Plan(**json.loads(kept))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if names[8:] else shown
