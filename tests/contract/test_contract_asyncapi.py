"""The AsyncAPI document as the rest of the world reads it: with AsyncAPI's own parser."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.contract import ASYNCAPI, documents

HERE = Path(__file__).parent
NOT_THE_LATEST = "asyncapi-latest-version"
"""A hint: tools know 3.0 better than 3.1, which adds nothing for AMQP."""
TERMINAL = {"replies/message.completed", "replies/message.failed"}


@pytest.fixture(scope="module")
def installed() -> None:
    """Install what package-lock.json names, once."""
    if not (HERE / "node_modules" / "@asyncapi" / "parser").is_dir():
        npm = shutil.which("npm")
        assert npm, "AsyncAPI's parser needs npm: apt-get install nodejs npm"
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
            cwd=HERE,
            check=True,
        )


def parsed(document: str, folder: Path) -> dict[str, Any]:
    """What the parser says of a document."""
    file = folder / ASYNCAPI
    file.write_text(document)
    told = subprocess.run(
        ["node", str(HERE / "validate.mjs"), str(file)], capture_output=True, check=True
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


@pytest.mark.timeout(180)
def test_the_parser_has_nothing_against_it(installed: None, tmp_path: Path) -> None:
    told = parsed(documents()[ASYNCAPI], tmp_path)
    assert [found for found in told["found"] if found["code"] != NOT_THE_LATEST] == []
    assert told["version"] == "3.0.0"


def test_what_is_asked_is_answered(installed: None, tmp_path: Path) -> None:
    """Whoever asks finds in the document what comes back, and where."""
    receives = parsed(documents()[ASYNCAPI], tmp_path)["receives"]
    assert {asks for told in receives.values() for asks in told["asks"]} == {
        "jobs/message.send",
        "jobs/message.post",
        "jobs/task.create",
        "jobs/task.list",
        "jobs/task.messages",
    }
    for told in receives.values():
        assert told["address"] == "$message.header#/reply_to"
        assert "replies/message.failed" in told["answers"]
    assert set(receives["sendMessage"]["answers"]) >= TERMINAL


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["operations"]["sendMessage"].update(action="publish"),
        lambda d: d["operations"]["sendMessage"].update(channel={"$ref": "#/channels/nowhere"}),
        lambda d: d["channels"]["jobs"]["bindings"]["amqp"].update({"is": "exchange"}),
    ],
)
def test_the_parser_would_say_so(
    installed: None, tmp_path: Path, spoil: Callable[[Any], object]
) -> None:
    """A wrong word, a reference to nothing, a binding that there is not."""
    document = json.loads(documents()[ASYNCAPI])
    spoil(document)
    codes = [found["code"] for found in parsed(json.dumps(document), tmp_path)["found"]]
    assert [code for code in codes if code != NOT_THE_LATEST]
