"""Misbehaviour before any text: orders for the next upgrades, REST calls and turns, counted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from worker.sandbox.directive import (
    CLOSE_CODES,
    BadDirective,
    Directive,
    is_close_code,
    read_directive,
)
from worker.sandbox.refusal import Failure, of_status

FaultKind = Literal["connect", "upgrade", "rest", "answer"]


@dataclass(slots=True)
class Fault:
    """One order: wait `delay` seconds, answer `status`, or close with `code`.

    `times` None means until cleared.
    """

    status: int = 0
    retry_after: float | None = None
    delay: float = 0.0
    code: int = 0
    times: int | None = None

    @property
    def failure(self) -> Failure:
        """The refusal a status fault stands for."""
        return of_status(self.status, self.retry_after)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a value may be: a number in a range, or None when that is the default."""

    default: float | None
    low: float
    high: float
    whole: bool = False

    def check(self, name: str, value: object) -> None:
        if value is None and self.default is None:
            return
        kind = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"'{name}' must be a {'whole ' * self.whole}number")  # noqa: TRY004
        if not self.low <= value <= self.high:
            raise ValueError(f"'{name}' must be from {self.low:g} to {self.high:g}")


class _CloseCode(_Rule):
    """A whole number that a close frame can carry."""

    def check(self, name: str, value: object) -> None:
        super().check(name, value)
        if not (isinstance(value, int) and is_close_code(value)):
            raise ValueError(f"'{name}' must be {CLOSE_CODES}")


_TIMES = _Rule(None, 1, 1_000_000, whole=True)
_STATUS = {
    "status": _Rule(503, 400, 599, whole=True),
    "retry_after": _Rule(None, 0, 86_400),
    "times": _TIMES,
}
_RULES: Final[Mapping[FaultKind, Mapping[str, _Rule]]] = {
    "connect": {"delay": _Rule(3.0, 0, 86_400), "times": _TIMES},
    "upgrade": _STATUS,
    "rest": _STATUS,
    "answer": {"code": _CloseCode(1011, 1000, 4999, whole=True), "times": _TIMES},
}


class Faults:
    """The standing orders, at most one of a kind.

    `connect` delays the answer to a WebSocket upgrade, `upgrade` answers it with an HTTP status,
    `rest` answers every REST call with one, `answer` ends a turn with a close code in place of
    its answer, once its message is in the history: the agent is down, all else works.
    `scenario` is a directive, for every message that has none of its own.
    """

    def __init__(self) -> None:
        self._standing: dict[FaultKind, Fault] = {}
        self._scenario = ""

    def order(self, orders: Mapping[str, Any]) -> None:
        """Takes `{"upgrade": {"status": 429, "times": 1}, "scenario": "!1011 after=3", …}`.

        What is left out has a default; an order replaces the one of its kind. Raises ValueError,
        and changes nothing, for a kind, a name or a value it does not know.
        """
        counted = {name: given for name, given in orders.items() if name != "scenario"}
        read = {_kind(name): _fault(_kind(name), given) for name, given in counted.items()}
        if "scenario" in orders:
            self._scenario = _directive(orders["scenario"])
        self._standing.update(read)

    def directive(self, message: str) -> Directive:
        """What a message orders, or else the standing scenario; BadDirective as of the former."""
        own = read_directive(message)
        if own.scenario or not self._scenario:
            return own
        return read_directive(f"{self._scenario} | {message}")

    def take(self, kind: FaultKind) -> Fault | None:
        """The standing order of this kind, used up by one; None when there is none."""
        fault = self._standing.get(kind)
        if fault is None or fault.times is None:
            return fault
        fault.times -= 1
        if fault.times <= 0:
            del self._standing[kind]
        return fault

    def clear(self) -> None:
        """Forgets every order."""
        self._standing.clear()
        self._scenario = ""

    def as_json(self) -> dict[str, Any]:
        """The standing orders with what is left of them."""
        orders: dict[str, Any] = {
            kind: {name: asdict(fault)[name] for name in _RULES[kind]}
            for kind, fault in self._standing.items()
        }
        return orders | ({"scenario": self._scenario} if self._scenario else {})


def _kind(name: str) -> FaultKind:
    for kind in _RULES:
        if name == kind:
            return kind
    raise ValueError(f"unknown fault '{name}'; the faults are {', '.join(_RULES)}, scenario")


def _directive(given: object) -> str:
    if not isinstance(given, str) or "|" in given:
        raise ValueError("'scenario' must be a directive without a text, like '!1011 after=3'")
    try:
        ordered = read_directive(given).scenario
    except BadDirective as error:
        raise ValueError(f"'scenario': {error}") from None
    if not ordered:
        raise ValueError("'scenario' must be a directive, like '!1011 after=3'")
    return given.strip()


def _fault(kind: FaultKind, given: object) -> Fault:
    rules = _RULES[kind]
    if not isinstance(given, Mapping):
        raise ValueError(f"'{kind}' must be an object with any of {', '.join(rules)}")  # noqa: TRY004
    for name, value in given.items():
        if name not in rules:
            raise ValueError(f"'{kind}' has no '{name}'; it has {', '.join(rules)}")
        rules[name].check(f"{kind}.{name}", value)
    defaults = {name: rule.default for name, rule in rules.items()}
    return Fault(**{**defaults, **given})
