"""How our worker grows: with conversations at once, with tasks ever seen, with longer answers."""

import sys
from collections.abc import AsyncIterator

from benchmarks.arena import Arena
from benchmarks.contenders import Contender
from benchmarks.outcome import Outcome
from benchmarks.plan import AT_ONCE, FULL, growing_answers, growing_concurrency, growing_tasks

PREFETCH = "1024"
"""Per partition: no partition's is what bounds the conversations at once."""


async def growth(arena: Arena, contender: Contender) -> AsyncIterator[tuple[str, Outcome]]:
    """Yield the lines of each table, with the outcome behind each."""
    for load in growing_concurrency():
        async with arena.running(contender, load.at_once, WORKER_PREFETCH=PREFETCH) as (
            driver,
            program,
        ):
            await driver.run(FULL.warm_up, program)
            outcome = await driver.run(load, program)
            line = (
                f"| {load.name} | {outcome.seen / outcome.wall:,.0f} updates/s"
                f" | {outcome.cpu / outcome.updates * 1e3:.3f} CPU s per 1,000"
                f" | {outcome.peak_kb / 1024:.0f} MB |"
            )
            yield line, outcome
    async with arena.running(contender, AT_ONCE, WORKER_TASK_IDLE="2") as (driver, program):
        for load in growing_tasks():
            outcome = await driver.run(load, program)
            line = (
                f"| {load.name} | {outcome.jobs / outcome.wall:,.0f} jobs/s"
                f" | {outcome.cpu / outcome.jobs * 1e3:.2f} CPU ms per job"
                f" | {outcome.rss_kb / 1024:.1f} MB |"
            )
            yield line, outcome
    async with arena.running(contender, AT_ONCE) as (driver, program):
        await driver.run(FULL.warm_up, program)
        for load in growing_answers():
            outcome = await driver.run(load, program)
            line = (
                f"| {load.name} | {outcome.seen / outcome.jobs:,.0f} updates a job"
                f" | {outcome.cpu / outcome.jobs * 1e3:.1f} CPU ms per job"
                f" | {outcome.body_bytes / outcome.jobs / 1024:,.0f} kB per job to the broker |"
            )
            yield line, outcome


async def print_growth(arena: Arena, contender: Contender) -> list[Outcome]:
    """Print the tables as they come, and return what is behind them."""
    outcomes = []
    sys.stdout.write(f"\n| growth of {contender.name} | | | |\n|---|---:|---:|---:|\n")
    async for line, outcome in growth(arena, contender):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        outcomes.append(outcome)
    return outcomes
