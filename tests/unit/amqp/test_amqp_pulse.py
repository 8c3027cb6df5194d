"""A broker that falls silent is given up before it gives us up."""

import asyncio

import pytest

from worker.amqp.pulse import BEATS, ENOUGH, Pulse
from worker.core.errors import LinkLost

pytestmark = pytest.mark.anyio

HEARTBEAT = 10.0


class Broker:
    """A broker that answers so many questions, and then ends the connection."""

    def __init__(self, answers: int) -> None:
        self.seconds = 100.0
        self.told: list[str] = []
        self.answers = answers
        self.pulse = Pulse(self.ask, self.told.append, HEARTBEAT, lambda: self.seconds, self.sleep)

    async def ask(self) -> None:
        if not self.answers:
            raise LinkLost("gone")
        self.answers -= 1

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def test_a_broker_that_answers_is_asked_five_times_a_heartbeat() -> None:
    broker = Broker(answers=BEATS)
    await broker.pulse.run()
    assert broker.seconds == pytest.approx(100.0 + HEARTBEAT)
    broker.pulse.check()
    assert not broker.told


async def test_the_time_since_the_last_answered_question_counts() -> None:
    """The process may have been stopped: nobody asked, and nobody saw the silence."""
    broker = Broker(answers=3)
    await broker.pulse.run()
    broker.seconds += ENOUGH * HEARTBEAT - HEARTBEAT / BEATS - 0.01
    broker.pulse.check()
    assert not broker.told
    broker.seconds += 0.02
    broker.pulse.check()
    assert broker.told == ["the broker has not answered for 8.01 s"]


async def test_a_question_without_an_answer_tells() -> None:
    silent = asyncio.Event()
    told: list[str] = []
    await Pulse(silent.wait, told.append, 0.05, asyncio.get_running_loop().time).run()
    assert told == ["the broker has not answered for 0.04 s"]
