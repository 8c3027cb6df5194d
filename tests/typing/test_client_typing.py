"""The types of the client, checked from outside as those of an installed package."""

import subprocess
import sys
from pathlib import Path

USES = Path(__file__).parent / "uses.py"


def test_another_program_type_checks_against_the_client(tmp_path: Path) -> None:
    """What is right passes, and every mistake marked in it is found."""
    checked = check(USES.read_text(), tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_a_mistake_is_found(tmp_path: Path) -> None:
    """A check that passes everything would prove nothing."""
    code = USES.read_text().replace("shown(update: Update)", "shown(update: Failed)")
    checked = check(code, tmp_path)
    assert checked.returncode == 1
    assert 'expected "Callable[[Update]' in checked.stdout


def check(code: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Check a program in a folder of its own, with nothing but --strict."""
    (place / "program.py").write_text(code)
    words = [
        "--strict",
        "--config-file=",
        f"--cache-dir={USES.parents[2] / '.mypy_cache' / 'outside'}",
    ]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *words, "program.py"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
