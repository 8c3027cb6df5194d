"""``scripts/bench``: rounds of every load on every contender, and the tables.

The contenders take turns within each round, so that a busy minute of the machine meets them all;
what is told are medians over the rounds, and ratios of these.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop
from broker import Broker, BrokerError

from benchmarks.arena import Arena, arena, private_broker
from benchmarks.contenders import Contender
from benchmarks.growth import print_growth
from benchmarks.outcome import Outcome
from benchmarks.plan import AT_ONCE, FULL, QUICK, SECTIONS, Plan
from benchmarks.program import ProgramError
from benchmarks.table import as_json, breaches, markdown

PREFETCH_IDLE = "512"
"""Per partition: 2,000 tasks are not spread evenly over them."""


def options(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of everything (5)")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections: %(default)s")
    parser.add_argument(
        "--peers",
        default="ours,naive,node,go",
        help="who is measured: %(default)s; ours+all and ours+off trace every job and none, "
        "ours@DIRECTORY is the worker of another checkout",
    )
    parser.add_argument("--quick", action="store_true", help="one small round: does it work?")
    parser.add_argument("--growth", action="store_true", help="how ours grows, instead (minutes)")
    parser.add_argument("--report", type=Path, help="everything as JSON, into this file")
    parser.add_argument(
        "--profile", default="", help="run ours under cProfile, into this file: no times count"
    )
    found = parser.parse_args(words)
    found.only = frozenset(found.only.split(","))
    if unknown := found.only - set(SECTIONS):
        parser.error(f"--only: no such section: {', '.join(sorted(unknown))}")
    found.rounds = 1 if found.quick else found.rounds
    return found


def main(words: Sequence[str]) -> int:
    """Run it; 1 if any reply was lost or wrong, 69 if something is missing."""
    chosen = options(words)
    contenders = [Contender(name, chosen.profile) for name in chosen.peers.split(",")]
    try:
        for each in contenders:
            each.check()
        with private_broker() as broker:
            return uvloop.run(_measure(broker, contenders, chosen))
    except (BrokerError, ProgramError) as error:
        sys.stderr.write(f"scripts/bench: {error}\n")
        return 69


async def _measure(
    broker: Broker, contenders: Sequence[Contender], chosen: argparse.Namespace
) -> int:
    plan = QUICK if chosen.quick else FULL
    results: dict[str, list[dict[str, Outcome]]] = {each.name: [] for each in contenders}
    with tempfile.TemporaryDirectory(prefix="aui-bench-") as directory:
        async with arena(broker, contenders, plan.tasks, Path(directory)) as place:
            if chosen.growth:
                for each in contenders:
                    outcomes = await print_growth(place, each)
                    results[each.name] = [{outcome.load: outcome for outcome in outcomes}]
            else:
                await _rounds(place, contenders, plan, chosen, results)
                title = f"{chosen.rounds} rounds, {place.broker}"
                sys.stdout.write(markdown(results, title))
    if chosen.report is not None:
        chosen.report.write_text(json.dumps(as_json(results), indent=1) + "\n")
    wrong = breaches(results)
    sys.stderr.writelines(f"{told}\n" for told in wrong)
    return 1 if wrong else 0


async def _rounds(
    place: Arena,
    contenders: Sequence[Contender],
    plan: Plan,
    chosen: argparse.Namespace,
    results: dict[str, list[dict[str, Outcome]]],
) -> None:
    for number in range(chosen.rounds):
        turn = number % len(contenders)
        for each in [*contenders[turn:], *contenders[:turn]]:
            sys.stderr.write(f"round {number + 1}: ")
            results[each.name].append(await _round(place, each, plan, chosen.only))


async def _round(
    place: Arena, contender: Contender, plan: Plan, sections: frozenset[str]
) -> dict[str, Outcome]:
    outcomes = {}
    loads, idle = plan.loads(sections), plan.memory
    apart = idle.jobs > AT_ONCE
    if "memory" in sections and not apart:
        loads.append(idle)
    if loads:
        async with place.running(contender, AT_ONCE) as (driver, program):
            await driver.run(plan.warm_up, program)
            for load in loads:
                outcomes[load.name] = _told(await driver.run(load, program))
    if "memory" in sections and apart:
        more = {"WORKER_PREFETCH": PREFETCH_IDLE}
        async with place.running(contender, idle.jobs, **more) as (driver, program):
            await driver.run(plan.warm_up, program)
            outcomes[idle.name] = _told(await driver.run(idle, program))
    return outcomes


def _told(outcome: Outcome) -> Outcome:
    sound = "" if outcome.sound else f", {outcome.lost} lost, {outcome.broken} wrong"
    told = f"{outcome.seen} updates in {outcome.wall:.1f} s{sound}"
    sys.stderr.write(f"  {outcome.load}: {told}\n")
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
