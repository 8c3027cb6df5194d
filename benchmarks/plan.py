"""What is measured: the loads of each section, in their full and their quick size."""

from dataclasses import dataclass

from benchmarks.load import Load, Stream

AT_ONCE = 100
"""Conversations each contender may hold, where it is not told to hold more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The loads of a run, by section.

    Attributes:
        warm_up: before anything is measured.
        throughput: many updates a job, as fast as they are taken.
        jobs: few updates a job, for what a job costs beside them.
        turns: the same once more, as the next messages of the same tasks.
        single: one message after another: of one conversation, and of a new one each.
        latency: paced answers, 2,000 and 4,000 updates a second.
        memory: conversations that are open and silent.
    """

    warm_up: Load
    throughput: Load
    jobs: Load
    turns: Load
    single: tuple[Load, ...]
    latency: tuple[Load, ...]
    memory: Load

    @property
    def tasks(self) -> int:
        """How many tasks one load has at most."""
        loads = (self.throughput, self.jobs, self.turns, *self.single, *self.latency, self.memory)
        return max(load.jobs for load in loads)

    def loads(self, sections: frozenset[str]) -> list[Load]:
        """Return the loads of some sections, but for ``memory``, which needs its own process."""
        by_section = {
            "throughput": [self.throughput],
            "jobs": [self.throughput, self.jobs, self.turns],
            "single": list(self.single),
            "latency": list(self.latency),
        }
        chosen = [load for name, loads in by_section.items() if name in sections for load in loads]
        return list(dict.fromkeys(chosen))


SECTIONS = ("throughput", "jobs", "single", "latency", "memory")

FULL = Plan(
    warm_up=Load("warm-up", 40, Stream(50), 40),
    throughput=Load("throughput", 200, Stream(50), 200),
    jobs=Load("jobs", 1000, Stream(2), 1000),
    turns=Load("turns", 400, Stream(2), 400, again=True),
    single=(
        Load("one conversation", 40, Stream(50), 1, turns=40),
        Load("new conversations", 40, Stream(50), 1),
    ),
    latency=(
        Load("latency 2,000/s", 100, Stream(100, interval=0.05), 100, ramp=1.0),
        Load("latency 4,000/s", 200, Stream(100, interval=0.05), 200, ramp=1.0),
    ),
    memory=Load("memory", 2000, Stream(2, hold=True), 2000, ramp=4.0),
)

QUICK = Plan(
    warm_up=Load("warm-up", 5, Stream(10), 5),
    throughput=Load("throughput", 20, Stream(50), 20),
    jobs=Load("jobs", 50, Stream(2), 50),
    turns=Load("turns", 50, Stream(2), 50, again=True),
    single=(
        Load("one conversation", 5, Stream(50), 1, turns=5),
        Load("new conversations", 5, Stream(50), 1),
    ),
    latency=(
        Load("latency 2,000/s", 10, Stream(10, interval=0.05), 10, ramp=0.1),
        Load("latency 4,000/s", 20, Stream(10, interval=0.05), 20, ramp=0.1),
    ),
    memory=Load("memory", 50, Stream(2, hold=True), 50, ramp=0.1),
)


def growing_concurrency() -> list[Load]:
    """Return the same work for 1 to 5,000 conversations at once."""
    at_once = {1: 100, 10: 400, 100: 1000, 1000: 2000, 5000: 5000}
    return [Load(f"{count} at once", jobs, Stream(50), count) for count, jobs in at_once.items()]


def growing_tasks() -> list[Load]:
    """Return 50,000 jobs of as many tasks, in slices."""
    sizes = [100, 900, 4000, *[5000] * 9]
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return [
        Load(f"{end} tasks", size, Stream(5), AT_ONCE)
        for size, end in zip(sizes, ends, strict=True)
    ]


def growing_answers() -> list[Load]:
    """Return answers of 1 to 64 kB, each update of them or four a second."""
    return [
        Load(f"{size} kB, {pace or 'every'}", 50, Stream(100, 0.02, size * 10), 50, 0.5, pace)
        for size in (1, 4, 16, 64)
        for pace in ("", "250ms")
    ]
