"""Whole projects of another team with worker.testing, as processes of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "testing"


@pytest.mark.timeout(180)
def test_the_example_passes_as_it_is(amqp_url: str, tmp_path: Path) -> None:
    """Elsewhere, with nothing of ours around it but what is installed."""
    project = shutil.copytree(
        EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "TEST_AMQP_URL": amqp_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.timeout(180)
def test_a_failure_shows_what_the_worker_logged(
    pytester: pytest.Pytester, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During that test, and no other."""
    monkeypatch.setenv("TEST_AMQP_URL", amqp_url)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("job", ["first", "second"])
        def test_it(job, aui_blocking, aui_sandbox, assert_one_terminal_reply):
            aui_blocking.send("hello", task_id=aui_sandbox.create_task().id, job_id=job)
            assert_one_terminal_reply(job)
            assert job == "first"
    """)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    told = "\n".join(done.outlines)
    _, found, log = told.partition("log of worker testing-1")
    assert found
    assert "job=second" in log
    assert "job=first" not in log
