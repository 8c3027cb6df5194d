"""What to do about each reason."""

from pathlib import Path

from worker.core.verdict import TABLE, Kind
from worker.dead.advice import ADVICE, advice_for, markdown
from worker.dead.head import UNKNOWN

PAGE = Path(__file__).parents[3] / "docs" / "dead-letters.md"


def test_every_reason_a_job_can_die_of_has_its_advice() -> None:
    reasons = {row.reason for row in TABLE if row.kind in (Kind.REJECTED, Kind.INTERRUPTED)}

    assert set(ADVICE) == reasons | {UNKNOWN}


def test_a_reason_of_a_newer_worker_has_one_too() -> None:
    assert advice_for("something_new").again == "With care."


def test_the_table_of_the_page_is_this_one() -> None:
    """When it is not, ask for it: ``worker.dead.advice.markdown()``."""
    assert f"\n\n{markdown()}\n" in PAGE.read_text()
