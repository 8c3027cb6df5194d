"""The command: plays a plan and prints its report (scripts/chaos)."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from broker import BrokerError
from runner import Pace, play
from schedule import FaultKind, Plan, plan
from terminal import progress, say

SMOKE, SOAK = (500, 10, 14.0), (20_000, 60, 40.0)
"""Jobs, faults, and jobs a second."""
LIMIT = 600.0
"""Seconds after the last job in which all must have ended."""
UNAVAILABLE = 69
KINDS = {kind.name.lower().replace("_", "-"): kind for kind in FaultKind}
_ONLY = f"only this kind of fault (repeat for more): {', '.join(KINDS)}"


def main() -> int:
    """Run the command line; 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--soak", action="store_true", help="20,000 jobs and 60 faults")
    parser.add_argument("--seed", type=int, help="replays the plan that a report names")
    parser.add_argument("--jobs", type=int, help="how many")
    parser.add_argument("--faults", type=int, help="how many")
    parser.add_argument("--only", action="append", choices=KINDS, metavar="KIND", help=_ONLY)
    parser.add_argument("--rate", type=float, help="jobs a second")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep events, journal and logs")
    options = parser.parse_args()
    jobs, faults, rate = SOAK if options.soak else SMOKE
    seed = secrets.randbelow(10_000) if options.seed is None else options.seed
    faults = faults if options.faults is None else options.faults
    kinds = [KINDS[name] for name in options.only or KINDS]
    planned = plan(seed, options.jobs or jobs, faults, kinds)
    say(f"chaos: {described(planned)}")
    try:
        with TemporaryDirectory(prefix="aui-chaos-") as temporary:
            directory = options.keep or Path(temporary)
            directory.mkdir(parents=True, exist_ok=True)
            report = play(planned, Pace(options.rate or rate, LIMIT), directory.resolve(), progress)
    except BrokerError as error:
        say(f"chaos: {error}")
        return UNAVAILABLE
    written = report.markdown(f"Chaos: {described(planned)}")
    if options.report is not None:
        options.report.write_text(written)
    sys.stdout.write(f"\n{written}")
    if not report.valid:
        say("the faults were:")
        for fault in planned.faults:
            say(f"  {fault}")
        named = [] if options.seed is not None else [f"--seed={seed}"]
        replay = [*sys.argv[1:], *named]
        say(f"replay with: scripts/chaos {shlex.join(replay)}")
    return int(not report.valid)


def described(planned: Plan) -> str:
    """Say in a line what a plan holds."""
    return f"seed {planned.seed}, {len(planned.jobs)} jobs, {len(planned.faults)} faults"


if __name__ == "__main__":
    sys.exit(main())
