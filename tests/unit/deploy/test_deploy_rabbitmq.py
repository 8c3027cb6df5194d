"""``aui-worker topology`` writes what is in deploy/rabbitmq, compares it, and keeps passwords."""

import json
from pathlib import Path

import pytest
from manifests_check import BOTS, ROOT
from typer.testing import CliRunner

from worker.cli import app
from worker.core.errors import ConfigurationError
from worker.core.permissions import Bot, markdown, users

DEFINITIONS = ROOT / "deploy/rabbitmq/definitions.json"
DOCUMENT = ROOT / "docs/deployment.md"
WORDS = ["topology", "--users", *BOTS]


@pytest.fixture(autouse=True)
def _sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_PARTITIONS", "16")


def run(*words: str) -> tuple[int, str, str]:
    """Run the command in this process; return exit code, output and errors."""
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_the_definitions_are_those_of_the_command() -> None:
    code, out, _ = run(*WORDS, "--definitions")
    assert (code, out) == (0, DEFINITIONS.read_text())


def test_a_file_that_is_right_is_said_to_be_by_the_exit_code() -> None:
    assert run(*WORDS, "--check", str(DEFINITIONS)) == (0, "", "")


def test_a_file_that_differs_is_told_by_what_differs(tmp_path: Path) -> None:
    other = json.loads(DEFINITIONS.read_text())
    other["permissions"][0]["read"] = ".*"
    other["users"][0]["password_hash"] = "somebody's"
    file = tmp_path / "definitions.json"
    file.write_text(json.dumps(other))

    code, out, errors = run(*WORDS, "--check", str(file))

    lacks, has = errors.splitlines()
    assert (code, out) == (1, "")
    assert lacks.startswith(f"{file}: permissions lacks ")
    assert '"read": ".*"' in has
    assert "somebody" not in errors


def test_a_file_of_another_number_of_partitions_is_told_in_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORKER_PARTITIONS", "32")
    code, _, errors = run(*WORDS, "--check", str(DEFINITIONS))
    assert code == 1
    assert len(errors.splitlines()) == 11
    assert "more differences" in errors.splitlines()[-1]


@pytest.mark.parametrize("text", ["nonsense", "[]"])
def test_what_are_no_definitions_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "definitions.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=f"--check: {file} "):
        run(*WORDS, "--check", str(file))


def test_passwords_come_from_files_and_are_not_in_what_is_printed(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("SEKRET\n")
    hashes = []
    for _ in range(2):
        _, out, _ = run("topology", "--definitions", "--passwords", str(tmp_path))
        assert "SEKRET" not in out
        hashes.append({user["name"]: user["password_hash"] for user in json.loads(out)["users"]})
    one, other = hashes
    assert one.pop("web") != other.pop("web")
    assert set(one.values()) == {""}


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "web is empty"), (b"\n", "web is empty"), (b"\xff\xfe", "web is no text")],
)
def test_a_password_that_is_none_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "web").write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"--passwords: .*{told}"):
        run("topology", "--definitions", "--passwords", str(tmp_path))


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no directory"):
        run("topology", "--definitions", "--passwords", str(tmp_path / "none"))


def test_a_bot_that_is_none_is_told() -> None:
    with pytest.raises(ConfigurationError, match="--bot: must be like"):
        run("topology", "--bot", "nobody")


def test_users_are_shown_as_a_table() -> None:
    code, out, _ = run("topology", "--users", "--bot", "acme-sms=acme.sms")
    assert code == 0
    for name in ("aui-worker", "aui-producer", "bot-acme", "aui-operator", "aui-monitor"):
        assert name in out


def test_the_document_has_the_table_of_users() -> None:
    everybody = users(["default", "acme"], [Bot("acme-sms", "acme", "sms")])
    assert markdown(everybody) in DOCUMENT.read_text()
