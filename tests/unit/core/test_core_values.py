"""The core hands out values: whoever holds one may rely on it."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import pytest
from msgspec import Struct

from worker import core
from worker.core.asked import Asked
from worker.core.reply import Reply
from worker.core.update import Update

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
    assert {"Job", "Verdict", "Envelope"} <= {kind.__name__ for kind in VALUES}


@pytest.mark.parametrize("kind", [Reply, Update])
def test_what_is_made_for_each_update_never_changes_either(kind: type[Struct]) -> None:
    assert kind.__struct_config__.frozen
    assert "__dict__" not in dir(kind)
