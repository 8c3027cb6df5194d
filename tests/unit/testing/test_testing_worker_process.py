"""A worker under test sees its own settings, and nothing of the world around it."""

import os

import pytest

from worker.testing import WorkerError, running_worker
from worker.testing.worker_process import QUICK, worker_environment


def test_no_key_and_no_setting_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUI_NETWORKS__ACME__API_KEY", "a real one")
    monkeypatch.setenv("WORKER_PARTITIONS", "64")
    monkeypatch.setenv("AMQP_URL", "amqp://production/")
    env = worker_environment("amqp://test/", "http://aui", {"WORKER_ATTEMPTS": "2"}, "KEY")
    assert env["AMQP_URL"] == "amqp://test/"
    assert env["AUI_NETWORK_API_KEY"] == "KEY"
    assert env["PATH"] == os.environ["PATH"]
    assert {**QUICK, "WORKER_ATTEMPTS": "2"}.items() <= env.items()
    assert not {"AUI_NETWORKS__ACME__API_KEY", "WORKER_PARTITIONS"} & env.keys()


def test_one_that_dies_at_its_start_shows_its_log() -> None:
    settings = {"WORKER_PARTITIONS": "3"}
    with (
        pytest.raises(WorkerError, match="ended with exit code 78; its log:\n") as told,
        running_worker("amqp://127.0.0.1:1/", "http://127.0.0.1:1", settings),
    ):
        pass
    assert "WORKER_PARTITIONS: must be a power of two" in str(told.value)


def test_a_package_of_the_same_name_is_not_taken_for_it(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many a project has a `worker` of its own in the directory where its tests run."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("worker")
    with (
        pytest.raises(WorkerError, match="WORKER_PARTITIONS"),
        running_worker("amqp://127.0.0.1:1/", "http://aui", {"WORKER_PARTITIONS": "3"}),
    ):
        pass
