"""What is left to tell is told at the end, within its time."""

import logging
import threading

import pytest

from worker.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.anyio


async def test_what_tells_nothing_ends_at_once() -> None:
    await Telemetry().shutdown(within=0)


async def test_each_is_closed_in_a_thread_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    both = threading.Barrier(2, timeout=10)
    await Telemetry(closing=[both.wait, both.wait]).shutdown(within=20)
    assert not both.broken
    assert caplog.records == []


async def test_one_that_hangs_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    over, ended = threading.Event(), threading.Event()
    thread: list[threading.Thread] = []

    def hang() -> None:
        thread.append(threading.current_thread())
        over.wait()
        ended.set()

    await Telemetry(closing=[hang]).shutdown(within=0.01)
    assert not ended.is_set()
    assert thread[0].daemon
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    over.set()
    thread[0].join(10)
    assert not thread[0].is_alive()


async def test_one_that_breaks_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise RuntimeError("a secret")

    await Telemetry(closing=[broken]).shutdown(within=10)
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text
