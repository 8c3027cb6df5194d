"""The programs of a run: they end when they are told to, and what ends by itself is told of."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import LAUNCH, Program, environment
from records import Exit

pytestmark = pytest.mark.anyio


def program(*words: str, ready: str, directory: Path, ends: list[Exit]) -> Program:
    return Program("one", list(words), environment(), directory, ready, ends.append)


async def test_a_program_that_is_killed_stays_dead_until_it_is_started(tmp_path: Path) -> None:
    ends: list[Exit] = []
    sandbox = program(
        "sandbox", "--port", "0", ready="sandbox of AUI", directory=tmp_path, ends=ends
    )
    for life in (1, 2):
        await sandbox.start()
        await sandbox.until_ready()
        pids = [sandbox.pid]
        await sandbox.end(signal.SIGKILL)
        assert pids != [None]
        assert sandbox.pid is None
        assert sandbox.lives == life
    assert [(end.program, end.code, end.asked) for end in ends] == [
        ("one.1", -9, "SIGKILL"),
        ("one.2", -9, "SIGKILL"),
    ]


async def test_a_program_that_ends_by_itself_is_told_of_and_started_again(tmp_path: Path) -> None:
    ends: list[Exit] = []
    twice = asyncio.Event()

    def ended(end: Exit) -> None:
        ends.append(end)
        if len(ends) == 2:
            twice.set()

    explain = Program("one", ["explain", "1011"], environment(), tmp_path, "", ended)
    await explain.start()
    async with asyncio.timeout(30):
        await twice.wait()
    await explain.end(signal.SIGKILL)
    assert [(end.program, end.code, end.asked) for end in ends[:2]] == [
        ("one.1", 0, ""),
        ("one.2", 0, ""),
    ]


async def test_a_program_that_does_not_get_ready_is_told_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processes.PATIENCE", 0.0)
    explain = program("explain", "1011", ready="never said", directory=tmp_path, ends=[])
    await explain.start()
    with pytest.raises(TimeoutError, match="one is not ready"):
        await explain.until_ready()
    await explain.end(signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
def test_a_program_does_not_outlive_who_started_it() -> None:
    """The pipe that it holds ends with it."""
    sleeper = f"{sys.executable!r}, '-c', 'import time; print(1, flush=True); time.sleep(60)'"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess as s; s.run([{sys.executable!r}, {str(LAUNCH)!r}, {sleeper}])",
        ],
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        parent.kill()
        assert parent.stdout.read() == b""
