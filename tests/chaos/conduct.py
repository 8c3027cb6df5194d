"""The invariants of the workers' own conduct: how they end, and what they write and send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from records import Evidence

EXIT_SLACK = 10.0
"""Seconds beyond its grace that a machine under load may take to end a process."""
MISHAPS = (
    "Traceback",
    "Task was destroyed",
    "was never awaited",
    "never retrieved",
    "Exception ignored",
    "ResourceWarning",
    "RuntimeWarning",
    "Fatal Python error",
)
LINE = '{"time": "'
SECOND = len(LINE) + len("2026-11-22T04:11:58")
FLOOD = 500


def stops(evidence: Evidence, grace: float) -> Iterator[str]:
    """Tell of workers that did not stop as they were told."""
    for end in evidence.exits:
        if end.asked == "SIGTERM" and end.took > grace + EXIT_SLACK:
            yield f"{end.program} took {end.took:.1f} s to stop"
        if end.asked == "SIGTERM" and end.code != 0:
            yield f"{end.program} stopped with {end.code}"


def exits(evidence: Evidence) -> Iterator[str]:
    """Tell of workers that ended and were not told to."""
    for end in evidence.exits:
        if end.asked == "" or (end.asked == "SIGKILL" and end.code != -9):
            yield f"{end.program} ended by itself, with {end.code}"


def leaks(evidence: Evidence) -> Iterator[str]:
    """Tell of secrets in what workers wrote and sent."""
    for secret in evidence.secrets:
        for name, text in evidence.logs.items():
            if secret in text:
                yield f"{name} holds {secret!r}"
        for reply in evidence.replies:
            if secret in f"{reply.headers}{reply.body}":
                yield f"reply {reply.message_id} holds {secret!r}"
        for letter in evidence.letters:
            if secret in f"{letter.headers}{letter.body}":
                yield f"letter {letter.message_id} holds {secret!r}"


def mishaps(evidence: Evidence) -> Iterator[str]:
    """Tell of lines that no right program writes."""
    for name, text in evidence.logs.items():
        for line in text.splitlines():
            if any(mishap in line for mishap in MISHAPS):
                yield f"{name}: {line[:2000]}"


def floods(evidence: Evidence) -> Iterator[str]:
    """Tell of a worker that goes round in circles: no job is worth that many lines a second."""
    for name, text in evidence.logs.items():
        seconds = Counter(line[:SECOND] for line in text.splitlines() if line.startswith(LINE))
        for second, lines in seconds.items():
            if lines > FLOOD:
                yield f"{name}: {lines} lines at {second.removeprefix(LINE)}"
