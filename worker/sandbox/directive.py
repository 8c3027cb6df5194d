"""The grammar of misbehaviour: `!<scenario> [name=value …] | text` in front of a message."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

AT_THE_END: Final = 1_000_000_000
"""An `after` that is reached only when every update was sent."""


class BadDirective(ValueError):
    """A directive nobody can follow; the message names what is wrong and what would be right."""


CLOSE_CODES: Final = "a close code a frame can carry: 1000-1014, 3000-4999"
"""What `is_close_code` takes, in words."""


def is_close_code(code: int) -> bool:
    """Whether a close frame can carry this code; 1005 stands for one without a code."""
    # RFC 6455 section 7.4: 1004, 1006 and 1015 never travel in a close frame.
    return (1000 <= code <= 1014 or 3000 <= code <= 4999) and code not in (1004, 1006)


@dataclass(frozen=True, slots=True)
class Directive:
    """One message's orders to the sandbox: a scenario, its parameters, and the text to answer.

    The scenario "" is a message without a directive. `after` counts updates; of the messages of
    one text in one task the scenario strikes the first `times` (None: all); `lag` and the other
    durations are seconds, `answered` says whether an answer lands in the history.
    """

    scenario: str
    text: str
    after: int = 0
    times: int | None = None
    lag: float = 0.0
    answered: bool = True
    status: int = 0
    code: int = 1000
    seconds: float = 0.0
    bytes: int = 0
    updates: int = 0
    interval: float = 0.0
    chunk: int = 0
    retry_after: float | None = None

    @property
    def history_lag(self) -> float:
        """How many seconds late this turn's messages show in the history."""
        return self.seconds if self.scenario == "lag" else self.lag


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        if not re.fullmatch(r"\d{1,12}", word, re.ASCII) or not low <= int(word) <= high:
            raise BadDirective(f"a whole number from {low} to {high}")
        return int(word)

    return read


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 86_400:
        raise BadDirective("seconds from 0 to 86400")
    return value


def _close_code(word: str) -> int:
    code = int(word) if re.fullmatch(r"[1-4]\d{3}", word, re.ASCII) else 0
    if not is_close_code(code):
        raise BadDirective(CLOSE_CODES)
    return code


def _yes_or_no(word: str) -> bool:
    if word not in ("yes", "no"):
        raise BadDirective("yes or no")
    return word == "yes"


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "after": _whole(0, AT_THE_END),
    "times": _whole(1, 1_000_000),
    "lag": _seconds,
    "answered": _yes_or_no,
    "status": _whole(400, 599),
    "code": _close_code,
    "seconds": _seconds,
    "bytes": _whole(0, 64 * 1024 * 1024),
    "updates": _whole(1, 100_000),
    "interval": _seconds,
    "chunk": _whole(1, 10_000),
    "retry_after": _seconds,
}

_COMMON: Final[Mapping[str, Any]] = {"times": None, "lag": 0.0, "answered": True}

_OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "1011": {"after": 3, "answered": False},
    "1008": {"after": 0, "status": 0, "answered": False},
    "400": {"after": 0, "answered": False},
    "error": {"status": 503, "after": 0, "retry_after": None, "answered": False},
    "cut": {"after": 3},
    "reset": {"after": 1},
    "close": {"code": 1000, "after": 3},
    "silence": {"after": 0, "answered": False},
    "stall": {"seconds": 5.0, "after": 1},
    "garbage": {"after": 1, "answered": False},
    "unknown": {"after": AT_THE_END},
    "huge": {"bytes": 2_000_000},
    "rewrite": {"after": 2},
    "final-only": {},
    "load": {"updates": 50, "interval": 0.05, "chunk": 20},
    "lag": {"seconds": 3.0},
}

SCENARIOS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {name: MappingProxyType({**_COMMON, **own}) for name, own in _OWN.items()}
)
"""Every scenario with its parameters and their defaults; all know `times`, `lag`, `answered`."""


def read_directive(message: str) -> Directive:
    """What a message's text orders; a text without a leading `!word` orders nothing.

    Raises BadDirective for an unknown scenario or parameter and for a value out of range.
    """
    if not re.match(r"\s*!\w", message):
        return Directive("", message)
    head, _, text = message.partition("|")
    scenario, *words = head.split()
    scenario = scenario[1:]
    if scenario not in SCENARIOS:
        raise BadDirective(
            f"unknown scenario '!{scenario}'; the scenarios are "
            + ", ".join(f"!{name}" for name in SCENARIOS)
        )
    given = dict(_parameter(scenario, word) for word in words)
    return Directive(scenario, text.strip(), **{**SCENARIOS[scenario], **given})


def _parameter(scenario: str, word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    known = SCENARIOS[scenario]
    if name not in known:
        raise BadDirective(
            f"'!{scenario}' has no parameter '{word}'; it has "
            + ", ".join(f"{parameter}=" for parameter in known)
        )
    try:
        return name, _READERS[name](value)
    except BadDirective as wanted:
        raise BadDirective(f"'!{scenario} {word}': {name} must be {wanted}") from None
