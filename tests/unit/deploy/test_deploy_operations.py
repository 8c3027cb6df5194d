"""The operators' book says what the code says."""

import re

import pytest

from tests.unit.deploy.rules import OPERATIONS
from worker.settings import WorkerSettings
from worker.telemetry.catalogue import markdown

BOOK = OPERATIONS.read_text()
VARIABLES = sorted(set(re.findall(r"`WORKER_([A-Z_]+)", BOOK)))


def test_the_table_of_metrics_is_the_catalogue() -> None:
    """When it is not, ask for it: ``worker.telemetry.catalogue.markdown()``."""
    assert f"\n\n{markdown()}\n" in BOOK


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_it_names_is_a_setting(variable: str) -> None:
    assert variable.lower() in WorkerSettings.model_fields


def test_its_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", BOOK, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", BOOK)) <= anchors
    for file, anchor in re.findall(r"\]\((\w+\.md)#?([^)]*)\)", BOOK):
        page = (OPERATIONS.parent / file).read_text().lower()
        assert f"# {anchor.replace('-', ' ')}\n" in page or not anchor
