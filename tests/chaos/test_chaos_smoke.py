"""Five hundred jobs and ten faults around real workers: everything promised still holds."""

import os
from pathlib import Path

import pytest
from runner import Pace, play
from schedule import plan

SEED = int(os.environ.get("CHAOS_SEED", "1"))
JOBS, FAULTS = 500, 10


@pytest.mark.timeout(180)
def test_nothing_is_lost_doubled_or_mixed_up(tmp_path: Path) -> None:
    """Kills, cuts, a freeze and a deleted hub: a failure prints how to have them again."""
    planned = plan(SEED, JOBS, FAULTS)
    report = play(planned, Pace(jobs=14.0, limit=90.0), tmp_path)
    told = [
        report.markdown(f"CHAOS_SEED={SEED}"),
        *(str(fault) for fault in planned.faults),
        f"replay with: scripts/chaos --seed {SEED}",
    ]
    assert report.valid, "\n".join(told)
    assert report.counts["accepted"] == JOBS
    # What rejects nothing and loses nothing could still answer nothing.
    assert report.counts["answered"] > 0.9 * JOBS
