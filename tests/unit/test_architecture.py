"""The house rules that no linter knows."""

from pathlib import Path

import pytest

WORKER = Path(__file__).parents[2] / "worker"
MODULES = sorted(WORKER.rglob("*.py"))
LONGEST = 250


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(WORKER)))
def test_a_module_is_one_room(module: Path) -> None:
    """More lines than this are two rooms: move the walls."""
    assert len(module.read_text().splitlines()) <= LONGEST
