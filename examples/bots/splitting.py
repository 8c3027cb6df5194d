"""Cuts a long text into parts, between words."""

from bisect import bisect_right
from collections.abc import Callable

SPACES = " \n\t"


def split(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut a text into the longest parts that fit, between words.

    A word that does not fit by itself is cut where it must be.

    Args:
        text: what is to be cut; spaces around it, and at the cuts, are left out.
        fits: tells whether a part is short enough. It must allow a single character, and no
            text of which it allows only a part.

    Returns:
        the parts; none for an empty text.
    """
    parts = []
    rest = text.strip()
    while rest and not fits(rest):
        longest = bisect_right(range(1, len(rest) + 1), False, key=lambda n: not fits(rest[:n]))
        gap = max(rest.rfind(space, 1, longest + 1) for space in SPACES)
        cut = gap if gap > 0 else longest
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest else parts


def short(text: str, length: int) -> str:
    """Cut a label to a length, between words where it has some; an ellipsis stands for the rest."""
    label = " ".join(text.split())
    if len(label) <= length:
        return label
    return split(label, lambda part: len(part) < length)[0] + "…"
