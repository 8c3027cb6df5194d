"""Look before you resend: what a task's history says about a message that may have been sent.

AUI has no idempotency key. Once a message may have reached it, the history of its task decides
whether to hand on the answer that is there, to wait for one, or to ask again. Jobs of a task run
one after another, so nothing that was said later than our message can be an earlier job's, and
what was said before the *anchor* cannot be ours.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from worker.core.said import Said
from worker.core.verdict import Source, Verdict

SENT_SLACK = 2.0
"""Seconds that AUI's ``Date`` header, cut to whole seconds by another machine, may run ahead."""
PUBLISHED_SLACK = 5.0
"""Seconds that a producer's clock may run ahead of AUI's.

More would take an equal text, said this long before, for ours; less would ask twice where a clock
is off by more.
"""


@dataclass(frozen=True, slots=True)
class Previous:
    """The last final of a task: its id in the history, and when AUI made it, if it says so."""

    id: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """What our message is newer than, as far as it is known.

    Attributes:
        previous: the task's last final before it, if this worker saw it.
        sent: when this worker first sent it, in seconds since 1970 by AUI's clock.
        published: the job's timestamp, likewise, but by its producer's clock: it only counts where
            nothing else is known.
        copy: another copy of the job may have been sent, and later jobs after it. Of any other job
            we know that nothing later was sent: it is the last thing the user said.
    """

    previous: Previous | None = None
    sent: float | None = None
    published: float | None = None
    copy: bool = False

    @property
    def not_before(self) -> float | None:
        """The earliest time, by AUI's clock, at which our message can have been said."""
        sent = None if self.sent is None else self.sent - SENT_SLACK
        previous = None if self.previous is None else self.previous.at
        told = [at for at in (sent, previous) if at is not None]
        if told:
            return max(told)
        return None if self.published is None else self.published - PUBLISHED_SLACK


@dataclass(frozen=True, slots=True)
class Seen:
    """What a history says.

    Attributes:
        asked: AUI has our message.
        ours: the ids of the user messages taken for ours.
        answer: the agent's answer to it, if there is one.
        ambiguous: there was no anchor: ours because it is the last thing the user said.
    """

    asked: bool = False
    ours: frozenset[str] = frozenset()
    answer: Said | None = None
    ambiguous: bool = False


def look(
    history: Sequence[Said],
    text: str,
    anchor: Anchor,
    claimed: Collection[str] = (),
    *,
    twin_behind: bool = False,
    behind: Sequence[str] = (),
) -> Seen:
    """Look for a message of ours, and its answer, in a task's history.

    Args:
        history: what was said, oldest first.
        text: the text of our message.
        anchor: what it is newer than.
        claimed: ids of user messages that belong to earlier jobs.
        twin_behind: a later job with the same text may have been sent, too: the first such
            message is ours then, and otherwise the last.
        behind: the texts of the later jobs that may have been sent, too, in their order: an ack
            gets lost after the next job was begun, and then all of them come again. It takes an
            anchor to tell that from earlier messages that were the same.
    """
    final = _behind(history, anchor.previous)
    exact = final is not None or anchor.sent is not None
    # What the history shows in its order needs no comparison of times, which may be cut to seconds.
    bound = anchor.not_before if final is None else None
    ambiguous = final is None and bound is None
    runs = list(_last_runs(history, text, behind))
    newest = runs[-1][0]
    ours: list[int] = []
    # Without times, "no yes" after an earlier "no yes" would be taken for it: never asked at all.
    for run, end in runs[-1:] if ambiguous else runs:
        first = run
        if final is not None:
            first = final
        elif exact or (anchor.copy and not ambiguous):
            first = 0
        ours = ours or [
            place
            for place in range(first, len(history) if exact else end)
            if history[place].by_user
            and same_text(history[place].text, text)
            and history[place].id not in claimed
            and _since(history[place], bound, newest=place >= newest)
        ]
    if not ours:
        return Seen()
    answered = [place for place in ours if _answer(history, place, text)]
    if twin_behind or (anchor.copy and not exact):
        place = (answered or ours)[0]
        ours = [place]
    elif exact:
        place = (answered or ours)[-1]  # sent more than once, by us alone: any answer is ours
    else:
        place = ours[-1]
    return Seen(
        asked=True,
        ours=frozenset(history[place].id for place in ours) - {""},
        answer=_answer(history, place, text),
        ambiguous=ambiguous,
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to look, in seconds since the message can last have reached AUI.

    Attributes:
        answer: for the answer, where the message is there: looking is no attempt.
        absence: for the message, where it is not: a history may lag behind.
    """

    answer: float
    absence: float


TOLD = Patience(answer=2.0, absence=2.0)
"""AUI itself said that it failed: little is to be expected."""
UNTOLD = Patience(answer=30.0, absence=5.0)
"""The connection was lost, or the worker that held it: AUI may well be answering."""


def patience_after(verdict: Verdict) -> Patience:
    """Return how long to look after an attempt that ended so."""
    told = verdict.source is Source.STATUS or verdict.code in (1011, 1012, 1013)
    return TOLD if told and verdict.source is not Source.LOCAL_CLOSE else UNTOLD


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts are the same but for white space, which AUI may trim."""
    return one == other or one.split() == other.split()


def _behind(history: Sequence[Said], previous: Previous | None) -> int | None:
    """Return the place behind the previous final; None where the history does not show it."""
    if previous is None:
        return None
    return next((n for n, said in enumerate(history, 1) if said.id == previous.id), None)


def _last_runs(
    history: Sequence[Said], text: str, behind: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """Yield where the last things the user said begin and end to be our text.

    What the jobs behind ours have said after it does not count: first of all of them, then of
    fewer, and at last of none. Both are the end of the history where our text is not last so.
    """
    said = [place for place, one in enumerate(history) if one.by_user]
    runs = [list(run) for _, run in groupby(said, key=lambda place: _words(history[place].text))]
    for count in range(len(behind), -1, -1):
        wanted = [
            (words, len(list(run))) for words, run in groupby([text, *behind[:count]], _words)
        ]
        last = runs[len(runs) - len(wanted) :] if len(wanted) <= len(runs) else []
        if len(last) == len(wanted) and all(
            _words(history[run[0]].text) == words and len(run) >= least
            for run, (words, least) in zip(last, wanted, strict=True)
        ):
            yield last[0][0], last[1][0] if len(last) > 1 else len(history)
        elif not count:
            yield len(history), len(history)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _since(said: Said, bound: float | None, *, newest: bool) -> bool:
    """Tell whether a message is not older; one without a time is not, if it is the newest."""
    if bound is None:
        return True
    return newest if said.at is None else said.at >= bound


def _answer(history: Sequence[Said], place: int, text: str) -> Said | None:
    """Return what answers the message there: before the user says something else."""
    for said in history[place + 1 :]:
        if not said.by_user:
            return said
        if not same_text(said.text, text):
            return None
    return None
