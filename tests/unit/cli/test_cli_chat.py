"""A chat of nobody in particular is that of whoever is at the terminal."""

import getpass
import os

import pytest

from worker.cli.chat import own_name


def test_who_is_at_the_terminal_is_known_by_name() -> None:
    assert own_name() == getpass.getuser()


def test_in_a_container_nobody_may_have_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert own_name() == str(os.getuid())
