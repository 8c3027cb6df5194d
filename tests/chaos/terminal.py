"""What a run tells whoever watches it."""

from __future__ import annotations

import sys


def progress(line: str) -> None:
    """Show how far it is, on a line of its own that the next one replaces."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}\x1b[K")
        sys.stderr.flush()


def say(*lines: str) -> None:
    """Tell something that stays."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
