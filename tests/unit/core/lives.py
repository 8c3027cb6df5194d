"""The life of a task: its jobs one after another, with lost connections, late answers and crashes.

It is played as the worker plays it, and AUI's side with it, so that of every message in the
history it is known whose it is. Before a message is sent again, the worker looks; each look is
checked against what is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from worker.core.history import Anchor, Previous, Seen, look
from worker.core.said import Said

TICK = 0.125
"""Seconds between one thing and the next, where nothing else is said."""


class Attempt(Enum):
    """What becomes of an attempt that gets no answer over its socket."""

    LOST = auto()
    """It never reached AUI."""
    UNHEARD = auto()
    """AUI has it and never answers."""
    LATE = auto()
    """AUI has it and answers at once, but nobody listens."""
    LATER = auto()
    """AUI has it and answers after the next attempt."""


@dataclass(frozen=True)
class Plan:
    """What is to become of one job.

    Attributes:
        text: what the user says.
        waits: it is in the lane before the job before it ends.
        idle: seconds from the end of the job before it until it comes, if it does not wait.
        failing: its attempts but the last.
        crashes: the numbers of the attempts with which the worker dies.
        answered: the last attempt is answered; else the job is dead-lettered without it.
        unsettled: the worker dies with the job done, but not settled.
    """

    text: str
    waits: bool = True
    idle: float = TICK
    failing: Sequence[Attempt] = ()
    crashes: frozenset[int] = frozenset()
    answered: bool = True
    unsettled: bool = False


@dataclass(frozen=True)
class World:
    """How much is known.

    Attributes:
        times: the history tells times.
        ids: the history tells ids of what the user said.
        stamps: producers set timestamps.
        ahead: seconds by which a producer's clock runs ahead of AUI's.
        date_ahead: seconds by which AUI's ``Date`` header does.
    """

    times: bool = True
    ids: bool = True
    stamps: bool = True
    ahead: float = 0.0
    date_ahead: float = 0.0


@dataclass
class Played:
    """A job, and what the worker that holds it knows of it."""

    plan: Plan
    number: int
    published: float | None = None
    maybe: bool = False
    sent: float | None = None
    ours: set[str] = field(default_factory=set)
    made: int = 0


@dataclass
class Life:
    """A task, and the worker that has its lane."""

    plans: Sequence[Plan]
    world: World
    now: float = 1000.0
    history: list[tuple[Said, int]] = field(default_factory=list)
    looks: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = [Played(plan, number) for number, plan in enumerate(self.plans)]
        self.crashed: set[tuple[int, int]] = set()
        self.owed: list[int] = []
        self.arrived = self.settled = self.at = 0
        self._forget()

    def run(self) -> None:
        """Play it to its end."""
        while self.settled < len(self.jobs):
            job = self.jobs[self.at]
            if self.at == self.arrived:
                self._arrive()
            if self._bring_to_its_end(job):
                self._settle(job)
            else:
                self._crash()

    def shown(self) -> list[Said]:
        """The history, as far as AUI tells it."""
        return [
            replace(
                said,
                at=said.at if self.world.times else None,
                id=said.id if self.world.ids or not said.by_user else "",
            )
            for said, _ in self.history
        ]

    def check(self, seen: Seen, number: int) -> None:
        """Hold what was seen of a job against what is known of it."""
        mine = {said.id for said, owner in self.history if owner == number and said.by_user}
        answers = {said.id for said, owner in self.history if owner == number and not said.by_user}
        assert seen.asked == bool(mine)
        assert (seen.answer is not None) == bool(answers)
        assert seen.answer is None or seen.answer.id in answers
        assert seen.ours <= mine

    def _arrive(self) -> None:
        """The next job comes, and with it what waits behind it."""
        self.now += self.jobs[self.at].plan.idle
        while self.arrived == self.at or (
            self.arrived < len(self.jobs) and self.jobs[self.arrived].plan.waits
        ):
            if self.world.stamps:
                self.jobs[self.arrived].published = self.now + self.world.ahead
            self.arrived += 1

    def _bring_to_its_end(self, job: Played) -> bool:
        """Make its attempts; False if the worker dies."""
        plan = job.plan
        while True:
            if job.maybe and self._answer_in_history(job):
                return True
            if job.made < len(plan.failing):
                self._attempt(job, plan.failing[job.made])
                if self._dies(job, job.made in plan.crashes):
                    return False
            elif plan.answered:
                self._ask(job)
                self._say(Said(f"answer {len(self.history)}", by_user=False), job.number)
                self._remember(self.history[-1][0])
                return not self._dies(job, plan.unsettled)
            else:
                self.claimed |= job.ours
                return True

    def _answer_in_history(self, job: Played) -> bool:
        """Look, as worker.relay.recovery does."""
        anchor = Anchor(self.previous, job.sent, job.published)
        behind = self.jobs[job.number + 1 : self.arrived]
        twin = any(other.maybe and other.plan.text == job.plan.text for other in behind)
        seen = look(self.shown(), job.plan.text, anchor, self.claimed, twin_behind=twin)
        self.looks.append(seen)
        self.check(seen, job.number)
        job.ours |= seen.ours
        if seen.answer is not None:
            self._remember(seen.answer)
        return seen.answer is not None

    def _attempt(self, job: Played, attempt: Attempt) -> None:
        """Make one that gets no answer over its socket."""
        owed, self.owed = self.owed, []
        if attempt is Attempt.LOST:
            self._sends(job)
        else:
            self._ask(job)
        self._pay(owed)
        if attempt is Attempt.LATE:
            self._pay([job.number])
        elif attempt is Attempt.LATER:
            self.owed = [job.number]

    def _ask(self, job: Played) -> None:
        self._sends(job)
        self._say(Said(job.plan.text, by_user=True), job.number)

    def _sends(self, job: Played) -> None:
        job.made += 1
        self.now += TICK
        if not job.maybe:
            job.sent = self.now + self.world.date_ahead
        job.maybe = True

    def _say(self, said: Said, owner: int) -> None:
        self.now += TICK
        name = f"{'u' if said.by_user else 'a'}{len(self.history)}"
        self.history.append((replace(said, id=name, at=self.now), owner))

    def _pay(self, owed: Sequence[int]) -> None:
        for number in owed:
            self._say(Said(f"answer {len(self.history)}", by_user=False), number)

    def _dies(self, job: Played, dies: bool) -> bool:
        """Let the worker die with this attempt, once."""
        died = (job.number, job.made) in self.crashed
        self.crashed.add((job.number, job.made))
        return dies and not died

    def _settle(self, job: Played) -> None:
        """Settle it, unless it is carried: the next one has the same text, and is there."""
        self._pay(self.owed)
        self.owed = []
        self.at = job.number + 1
        following = self.jobs[self.at] if self.at < self.arrived else None
        carried = following is not None and following.plan.text == job.plan.text
        if not carried or not job.plan.answered:
            self.settled = self.at

    def _crash(self) -> None:
        """Another worker gets what is not settled, and knows nothing."""
        self._forget()
        self.at = self.settled
        for job in self.jobs[self.settled : self.arrived]:
            job.maybe, job.sent = True, None
            job.ours = set()

    def _forget(self) -> None:
        self.previous: Previous | None = None
        self.claimed: set[str] = set()

    def _remember(self, final: Said) -> None:
        at = final.at
        if at is None:  # over the socket it always tells
            at = next(said.at for said, _ in self.history if said.id == final.id)
        self.previous, self.claimed = Previous(final.id, at), set()
