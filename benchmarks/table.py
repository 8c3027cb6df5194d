"""Writes the results down: Markdown for people, JSON for programs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.figures import GOALS, METRICS, Round, Spread
from benchmarks.outcome import Outcome

Results = Mapping[str, Sequence[Round]]
"""The rounds of each contender."""


def markdown(results: Results, title: str) -> str:
    """Write the tables."""
    lines = [f"## {title}", "", *_figures(results), "", *_soundness(results), ""]
    lines += [*_shares(results), ""]
    for name in results:
        if Contender(name).ours:
            lines += [*_goals(results, name), ""]
    return "\n".join(lines)


def breaches(results: Results) -> list[str]:
    """Return what was wrong with the replies, in words."""
    return [
        f"{name}, {outcome.load}: {outcome.lost} jobs lost, {outcome.broken} replies wrong;"
        f" {'; '.join(outcome.breaches)}"
        for name, outcome in _outcomes(results)
        if not outcome.sound
    ]


def as_json(results: Results) -> dict[str, Any]:
    """Return everything, round by round, and the spreads."""
    return {
        "rounds": {
            name: [{load: each.as_json() for load, each in one.items()} for one in rounds]
            for name, rounds in results.items()
        },
        "figures": {
            metric.name: {
                name: [spread.middle, spread.lowest, spread.highest]
                for name, rounds in results.items()
                if (spread := Spread.of(metric, rounds)) is not None
            }
            for metric in METRICS
        },
    }


def _figures(results: Results) -> Iterator[str]:
    """Yield a row for each metric: median, lowest and highest of each contender."""
    yield f"| median [lowest-highest] | {' | '.join(results)} |"
    yield f"|---|{'---:|' * len(results)}"
    for metric in METRICS:
        spreads = [Spread.of(metric, rounds) for rounds in results.values()]
        if not any(spreads):
            continue
        cells = [
            "-"
            if spread is None
            else f"{spread.middle:,.{metric.digits}f}"
            f" [{spread.lowest:,.{metric.digits}f}-{spread.highest:,.{metric.digits}f}]"
            for spread in spreads
        ]
        yield f"| {metric.name} | {' | '.join(cells)} |"


def _soundness(results: Results) -> Iterator[str]:
    yield f"| of all replies | {' | '.join(results)} |"
    yield f"|---|{'---:|' * len(results)}"
    rows: dict[str, Callable[[Outcome], int]] = {
        "updates checked": lambda outcome: outcome.seen,
        "coalesced (text came in a later update)": lambda outcome: outcome.skipped,
        "jobs lost": lambda outcome: outcome.lost,
        "doubled, reordered, of another task, asked twice": lambda outcome: outcome.broken,
    }
    for told, count in rows.items():
        totals = [
            sum(count(outcome) for each in rounds for outcome in each.values())
            for rounds in results.values()
        ]
        yield f"| {told} | {' | '.join(f'{total:,}' for total in totals)} |"


def _shares(results: Results) -> Iterator[str]:
    """Yield who kept the machine busy, to show what was no bottleneck and who else was there."""
    yield f"| CPU in all loads, s | {' | '.join(results)} |"
    yield f"|---|{'---:|' * len(results)}"
    outcomes = {
        name: [outcome for each in rounds for outcome in each.values()]
        for name, rounds in results.items()
    }
    own = [sum(outcome.cpu for outcome in each) for each in outcomes.values()]
    yield f"| itself | {' | '.join(f'{total:.1f}' for total in own)} |"
    parties = dict.fromkeys(party for _, outcome in _outcomes(results) for party in outcome.others)
    for party in parties:
        told = "not ours" if party == "foreign" else f"the {party}"
        totals = [
            sum(outcome.others.get(party, 0.0) for outcome in each) for each in outcomes.values()
        ]
        yield f"| {told} | {' | '.join(f'{total:.1f}' for total in totals)} |"


def _goals(results: Results, ours: str) -> Iterator[str]:
    yield f"| goal ({ours}) | ratio | bar | moonshot | |"
    yield "|---|---:|---:|---:|---|"
    for goal in GOALS:
        if goal.peer not in results:
            continue
        mine = Spread.of(goal.metric, results[ours])
        theirs = Spread.of(goal.metric, results[goal.peer])
        if mine is None or theirs is None or not theirs.middle:
            continue
        ratio = mine.middle / theirs.middle
        sign = ">=" if goal.metric.more_is_better else "<="
        yield (
            f"| {goal.metric.name}, to {goal.peer} | {ratio:.2f} | {sign} {goal.bar:.2f}"
            f" | {sign} {goal.moonshot:.2f} | {goal.met(ratio)} |"
        )
    broken = sum(
        outcome.lost + outcome.broken for each in results[ours] for outcome in each.values()
    )
    met = "**missed**" if broken else "met"
    yield f"| lost, doubled, reordered or mixed up | {broken} | 0 | 0 | {met} |"


def _outcomes(results: Results) -> Iterator[tuple[str, Outcome]]:
    for name, rounds in results.items():
        for each in rounds:
            for outcome in each.values():
                yield name, outcome
