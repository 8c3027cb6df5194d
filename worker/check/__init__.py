"""Looks whether a worker with these settings would work, and says what is wrong in one line each.

What it does at the broker and at AUI leaves nothing behind and moves no job, so it may be done at
any time, beside workers that run.
"""

from worker.check.checking import check
from worker.check.finding import Finding, State

__all__ = ["Finding", "State", "check"]
