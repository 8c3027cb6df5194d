"""AUI's tasks, messages and options: in either dialect, and whatever is missing."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.builders import FINAL, SOME, json_values
from worker.client.models import Message, Option, Parameter, Task, TaskPage

ROW = {"title": "Product name", "value": "Halden 28", "type": "string"}
PRICE = {"title": "Price", "value": "$419.50", "type": "numeric"}


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"widget_parameters": [ROW, PRICE], "is_recommended": True}, "Halden 28"),
        (
            {"id": "c", "name": "Halden", "parameters": [ROW, PRICE], "is_recommended": True},
            "Halden",
        ),
    ],
)
def test_an_option_is_read_in_either_dialect(raw: dict[str, Any], name: str) -> None:
    option = Option.read(raw)
    assert (option.name, option.recommended, option.raw) == (name, True, raw)
    assert option.parameters == (
        Parameter("Product name", "Halden 28", "string"),
        Parameter("Price", "$419.50", "numeric"),
    )


def test_a_message_is_read() -> None:
    message = Message.read(json.loads(FINAL))
    assert (message.sender, message.by_user) == ("agent", False)
    assert message.created_at == datetime(2026, 3, 9, 14, 22, 1, tzinfo=UTC)
    assert message.followup_suggestions == ("What is the price range?",)


def test_a_page_is_read() -> None:
    raw = {"tasks": [{"id": "t1", "user_id": "u", "new": 1}], "total": 24, "page": 2, "size": 1}
    page = TaskPage.read(raw)
    assert (page.total, page.page, page.size) == (24, 2, 1)
    assert page.tasks[0] == Task("t1", "u", "", "", (), raw["tasks"][0])  # type: ignore[index]


@SOME
@given(
    raw=st.dictionaries(st.sampled_from(["id", "tasks", "options", "sender", "total"]), json_values)
)
def test_nothing_is_too_odd_to_be_read(raw: dict[str, Any]) -> None:
    for model in (Task, TaskPage, Message, Option):
        assert model.read(raw).raw == raw
