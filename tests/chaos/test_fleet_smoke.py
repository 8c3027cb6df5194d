"""Three workers, one of which is stopped and one killed, while sixty conversations run."""

import os
from pathlib import Path

import pytest
from broker import Broker
from fleet import described, play_fleet
from fleet_plan import fleet_plan

SEED = int(os.environ.get("FLEET_SEED", "1"))
CONVERSATIONS, MESSAGES = 60, 10


@pytest.mark.timeout(180)
def test_a_conversation_stays_a_conversation_across_the_fleet(
    broker: Broker, tmp_path: Path
) -> None:
    """On RabbitMQ 4 all three must work side by side, on 3.x one after another."""
    plan = fleet_plan(SEED, CONVERSATIONS, MESSAGES, rounds=1, brief=True)
    report = play_fleet(plan, 60.0, tmp_path, broker)
    told = [
        report.markdown(described(plan, broker)),
        *(str(change) for change in plan.changes),
        f"replay with: FLEET_SEED={SEED}",
    ]
    assert report.valid, "\n".join(told)
    assert report.counts["answered"] == CONVERSATIONS * MESSAGES
    # An agent that never failed would not have been asked again.
    assert report.counts["turns that AUI ended with 1011"] > 0
