"""What a run came to, in the words of RabbitMQ's Jepsen tests, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

SHOWN = 20
"""Of the breaches of one invariant."""


@dataclass
class Report:
    """The outcome of a run.

    Attributes:
        counts: how many of each.
        breaches: what broke an invariant, in words.
        excepted: what looks like a breach and has an excuse.
        justified: how often the agent had to be asked again, by reason.
        tables: further sections, each a title and its lines.
    """

    counts: dict[str, int] = field(default_factory=dict)
    breaches: dict[str, list[str]] = field(default_factory=dict)
    excepted: list[str] = field(default_factory=list)
    justified: Counter[str] = field(default_factory=Counter)
    tables: dict[str, list[str]] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """No invariant was broken."""
        return not self.breaches

    def add(self, invariant: str, breaches: Iterable[str]) -> None:
        """Note the breaches of an invariant, if there are any."""
        if told := list(breaches):
            self.breaches[invariant] = told

    def markdown(self, title: str) -> str:
        """Write it out."""
        return "\n".join(self._lines(title)) + "\n"

    def _lines(self, title: str) -> Iterator[str]:
        yield from (f"## {title}", "", "valid" if self.valid else "**NOT VALID**", "")
        yield from ("| | |", "|---|---:|")
        yield from (f"| {name} | {count} |" for name, count in self.counts.items())
        for reason, count in self.justified.most_common():
            yield f"| asked again: {reason} | {count} |"
        for invariant, breaches in self.breaches.items():
            yield from ("", f"### {invariant}: {len(breaches)}", "")
            yield from (f"* {told}" for told in breaches[:SHOWN])
            if len(breaches) > SHOWN:
                yield f"* and {len(breaches) - SHOWN} more"
        if self.excepted:
            yield from ("", "### Excepted", "", *(f"* {told}" for told in self.excepted))
        for name, lines in self.tables.items():
            yield from ("", f"### {name}", "", *lines)
