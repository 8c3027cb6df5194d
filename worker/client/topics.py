"""Binding keys of a topic exchange, as the broker reads them (AMQP 0-9-1, section 3.1.3.3)."""

import re
from collections.abc import Sequence

from worker.client.errors import InvalidRequest
from worker.core.body import shown

_WORD = r"(?:\*|#|[A-Za-z0-9_-]{1,64})"
_KEY = re.compile(rf"{_WORD}(?:\.{_WORD})*")
MAX_KEY = 255


def check_key(key: object) -> str:
    """Return what may be a binding key for replies.

    Raises:
        InvalidRequest: it cannot match a reply.
    """
    if not isinstance(key, str) or _KEY.fullmatch(key) is None or len(key) > MAX_KEY:
        raise InvalidRequest("keys", f"must be words, * and # between dots, not {shown(key)}")
    return key


def matches(pattern: str, words: Sequence[str]) -> bool:
    """Tell whether a binding key matches the words of a routing key."""
    return _matches(pattern.split("."), words)


def _matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(_matches(rest, words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and _matches(rest, words[1:])
