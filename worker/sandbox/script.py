"""What happens in a turn, step by step: a pure function of the directive and the answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, islice
from re import findall

from worker.sandbox.directive import Directive
from worker.sandbox.refusal import INTERNAL, MODERATION, Failure, of_status


@dataclass(frozen=True, slots=True)
class Update:
    """Send the cumulative `text`, `delay` seconds after the step before it."""

    text: str
    delay: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Send an error payload, then close with `code`."""

    failure: Failure
    code: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close with `code`, without a word."""

    code: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Lose the connection: end of stream without a close frame, or a TCP reset."""

    reset: bool


@dataclass(frozen=True, slots=True)
class Garbage:
    """Send a frame that is not JSON."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Send an event no document mentions."""


@dataclass(frozen=True, slots=True)
class Hush:
    """Send nothing more in this turn, whatever the following steps say."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Answer no more: nothing of this turn will be in the history but the question."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the answer, then send it: the end of a turn that is answered."""

    text: str


Step = Update | Pause | Fail | Close | Drop | Garbage | Unknown | Hush | GiveUp | Finish

REWRITTEN = "Let me put that differently. "


def script(directive: Directive, answer: str, word_delay: float) -> Iterator[Step]:
    """The steps of one turn, in order, with a `Finish` at the end or a `GiveUp` on the way.

    It is a `Finish` exactly when `directive.answered`.

    `answer` is the whole text of the agent; it comes word by word, `word_delay` seconds apart.
    The disturbance the scenario asks for comes after `directive.after` updates, or after the
    last one when there are fewer.
    """
    updates = _updates(directive, answer, word_delay)
    yield from islice(updates, directive.after)
    if not directive.answered:
        yield GiveUp()
    yield from _DISTURBANCES.get(directive.scenario, _none)(directive)
    if directive.answered:
        yield from updates
        yield Finish(_final_text(directive, answer))


def _updates(directive: Directive, answer: str, word_delay: float) -> Iterator[Update]:
    match directive.scenario:
        case "final-only":
            return iter(())
        case "load":
            return _load(directive, answer)
        case "rewrite":
            return _rewritten(_words(answer, word_delay), directive.after)
        case _:
            return _words(answer, word_delay)


def _words(answer: str, delay: float) -> Iterator[Update]:
    return (Update(text, delay) for text in accumulate(findall(r"\s*\S+", answer)))


def _rewritten(updates: Iterator[Update], after: int) -> Iterator[Update]:
    for number, update in enumerate(updates):
        yield update if number < after else Update(REWRITTEN + update.text, update.delay)


def _load(directive: Directive, answer: str) -> Iterator[Update]:
    whole = _final_text(directive, answer)
    for number in range(1, directive.updates + 1):
        yield Update(whole[: number * directive.chunk], directive.interval)


def _final_text(directive: Directive, answer: str) -> str:
    match directive.scenario:
        case "load":
            return _filled("", answer + " ", directive.updates * directive.chunk)
        case "huge":
            return _filled(answer, " and so on", directive.bytes)
        case "rewrite":
            return REWRITTEN + answer
        case _:
            return answer


def _filled(text: str, filler: str, length: int) -> str:
    missing = max(0, length - len(text))
    return text + (filler * (missing // len(filler) + 1))[:missing]


def _none(_: Directive) -> tuple[Step, ...]:
    return ()


def _error(directive: Directive) -> tuple[Step, ...]:
    failure = of_status(directive.status, directive.retry_after)
    # Seed 004: 1008 is for application errors, 1011 for the server's own.
    code = 1011 if directive.status >= 500 or directive.status == 429 else 1008
    return (Fail(failure, code),)


def _policy(directive: Directive) -> tuple[Step, ...]:
    return (Fail(of_status(directive.status), 1008) if directive.status else Close(1008),)


_DISTURBANCES: Mapping[str, Callable[[Directive], tuple[Step, ...]]] = {
    "1011": lambda _: (Fail(INTERNAL, 1011),),
    "1008": _policy,
    "400": lambda _: (Fail(MODERATION, 1008),),
    "error": _error,
    "cut": lambda _: (Drop(reset=False),),
    "reset": lambda _: (Drop(reset=True),),
    "close": lambda directive: (Close(directive.code),),
    "silence": lambda _: (Hush(),),
    "stall": lambda directive: (Pause(directive.seconds),),
    "garbage": lambda _: (Garbage(), Hush()),
    "unknown": lambda _: (Unknown(),),
}
