"""From outcomes to figures: one number per contender, round and metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.outcome import Outcome, percentile

Round = Mapping[str, Outcome]
"""What one contender did in one round, by load."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    Attributes:
        name: with its unit.
        section: of the plan.
        read: the figure of one round; None where the round has none.
        digits: how many decimals are shown.
        more_is_better: as of throughput.
    """

    name: str
    section: str
    read: Callable[[Round], float | None]
    digits: int
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    middle: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, metric: Metric, rounds: Sequence[Round]) -> "Spread | None":
        """Take a metric's figures."""
        figures = [figure for each in rounds if (figure := metric.read(each)) is not None]
        return cls(median(figures), min(figures), max(figures)) if figures else None


def _of(load: str, figure: Callable[[Outcome], float]) -> Callable[[Round], float | None]:
    def read(each: Round) -> float | None:
        return figure(each[load]) if load in each else None

    return read


def _split(spent: Callable[[Outcome], float], *, per_job: bool) -> Callable[[Round], float | None]:
    """Solve two loads for what an update costs, in us, and a job beside its updates, in ms."""

    def read(each: Round) -> float | None:
        if not {"throughput", "jobs"} <= each.keys():
            return None
        many, few = each["throughput"], each["jobs"]
        pivot = many.updates * few.jobs - few.updates * many.jobs
        if per_job:
            return (spent(few) * many.updates - spent(many) * few.updates) / pivot * 1e3
        return (spent(many) * few.jobs - spent(few) * many.jobs) / pivot * 1e6

    return read


def _turn(each: Round) -> float | None:
    """Return what the next message of a task costs beside its updates, in ms."""
    update = UPDATE.read(each)
    if update is None or "turns" not in each:
        return None
    turns = each["turns"]
    return (turns.cpu * 1e3 - update * turns.updates / 1e3) / turns.jobs


def _own(outcome: Outcome) -> float:
    return outcome.cpu


def _brokers(outcome: Outcome) -> float:
    return outcome.others.get("broker", 0.0)


def _rate(outcome: Outcome) -> float:
    return outcome.seen / outcome.wall


def _cpu(outcome: Outcome) -> float:
    return outcome.cpu / outcome.updates * 1e3


def _latency(part: float) -> Callable[[Outcome], float]:
    return lambda outcome: percentile(outcome.latencies, part)


RATE = Metric("updates/s", "throughput", _of("throughput", _rate), 0, True)
CPU = Metric("CPU s per 1,000 updates", "throughput", _of("throughput", _cpu), 3)
PEAK = Metric(
    "peak memory, MB", "throughput", _of("throughput", lambda outcome: outcome.peak_kb / 1024), 0
)
UPDATE = Metric("CPU us per update (split)", "jobs", _split(_own, per_job=False), 1)
JOB = Metric("CPU ms per job (split)", "jobs", _split(_own, per_job=True), 2)
TURN = Metric("CPU ms per next message of a task", "jobs", _turn, 2)
BROKER_UPDATE = Metric("broker's CPU us per update", "jobs", _split(_brokers, per_job=False), 1)
BROKER_JOB = Metric("broker's CPU ms per job", "jobs", _split(_brokers, per_job=True), 2)
SINGLE = Metric("updates/s, one conversation", "single", _of("one conversation", _rate), 0, True)
NEW = Metric(
    "updates/s, one new task at a time", "single", _of("new conversations", _rate), 0, True
)
P50_2K = Metric("2,000/s: added p50, ms", "latency", _of("latency 2,000/s", _latency(50)), 1)
P99_2K = Metric("2,000/s: added p99, ms", "latency", _of("latency 2,000/s", _latency(99)), 1)
CPU_2K = Metric("2,000/s: CPU s per 1,000", "latency", _of("latency 2,000/s", _cpu), 3)
P50_4K = Metric("4,000/s: added p50, ms", "latency", _of("latency 4,000/s", _latency(50)), 1)
P99_4K = Metric("4,000/s: added p99, ms", "latency", _of("latency 4,000/s", _latency(99)), 1)
CPU_4K = Metric("4,000/s: CPU s per 1,000", "latency", _of("latency 4,000/s", _cpu), 3)
MEMORY = Metric(
    "kB per open conversation",
    "memory",
    _of("memory", lambda outcome: outcome.held_kb / outcome.jobs),
    1,
)
METRICS = (
    *(RATE, CPU, PEAK, UPDATE, JOB, TURN, BROKER_UPDATE, BROKER_JOB, SINGLE, NEW),
    *(P50_2K, P99_2K, CPU_2K, P50_4K, P99_4K, CPU_4K),
    MEMORY,
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What our worker is held to: a ratio of its figure to a peer's.

    Attributes:
        metric: of which.
        peer: whose figure is 1.
        bar: what is to be reached.
        moonshot: what would be wonderful.
    """

    metric: Metric
    peer: str
    bar: float
    moonshot: float

    def met(self, ratio: float) -> str:
        """Say how far a ratio got."""
        for word, level in (("moonshot", self.moonshot), ("met", self.bar)):
            if ratio >= level if self.metric.more_is_better else ratio <= level:
                return word
        return "**missed**"


GOALS = (
    Goal(CPU, "naive", 1 / 4, 1 / 6.5),
    Goal(UPDATE, "go", 1.2, 0.75),
    Goal(JOB, "naive", 0.6, 0.3),
    Goal(SINGLE, "naive", 3.0, 4.5),
    Goal(NEW, "naive", 3.0, 4.5),
    Goal(P99_2K, "naive", 0.5, 0.25),
    Goal(P99_4K, "go", 2.0, 1.0),
    Goal(MEMORY, "naive", 0.7, 0.5),
)
