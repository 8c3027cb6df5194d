"""The core hands out values: whoever holds one may rely on it."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import pytest

from worker import core
from worker.core.asked import Asked

MODULES = [
    importlib.import_module(f"worker.core.{module.name}")
    for module in pkgutil.iter_modules(core.__path__)
]
VALUES = {
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}
MEMORIES = {Asked}
"""What is known of a job while it is worked on: that grows."""


@pytest.mark.parametrize("kind", sorted(VALUES, key=str), ids=lambda kind: kind.__name__)
def test_a_value_takes_no_more_fields(kind: Any) -> None:
    assert "__dict__" not in dir(kind)


@pytest.mark.parametrize("kind", sorted(VALUES - MEMORIES, key=str), ids=lambda kind: kind.__name__)
def test_a_value_never_changes(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen


def test_the_core_is_made_of_values() -> None:
    assert {"Job", "Reply", "Verdict", "Envelope"} <= {kind.__name__ for kind in VALUES}
