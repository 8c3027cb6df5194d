"""One partition, one AUI, and one worker after another that works on it, until all is done."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.fakes import FakeChannel, FakeDelivery, Valve
from tests.unit.relay.flow import Flow, again, message
from tests.unit.relay.oracle import world_of
from worker.core.envelope import Envelope
from worker.core.reply import Reply

CRASH = "crash"
"""The worker does nothing any more; another one follows it."""
CUT = "cut"
"""The consuming link is lost, and back at once."""
LOSE = "lose"
"""The consuming link is lost, and back once the worker has nothing left to do."""
RESTART = 2.0
"""Seconds until a dead worker's jobs are handed out again; the history lags by less."""
MANY = 40


class Steps(Valve):
    """Counts what a worker does to the world, and lets things happen just before some of it.

    Args:
        mishaps: what happens before which step: a crash, or the loss of the consuming link.
        lose_link: loses it, in the way that the mishap says.
    """

    def __init__(self, mishaps: Mapping[int, str], lose_link: Callable[[str], None]) -> None:
        super().__init__()
        self.taken = 0
        self.crashed = asyncio.Event()
        self._mishaps = mishaps
        self._lose_link = lose_link

    async def passed(self) -> None:
        if not self.crashed.is_set():
            self.taken += 1
            mishap = self._mishaps.get(self.taken)
            if mishap == CRASH:
                self.crashed.set()
            elif mishap is not None:
                self._lose_link(mishap)
        if self.crashed.is_set():
            await asyncio.Event().wait()
        await super().passed()


@dataclass(eq=False)
class Queued:
    """A job in its queue, and how often it was handed out."""

    envelope: Envelope
    handed_out: int = 0


class QueuedDelivery(FakeDelivery):
    """A delivery whose ack takes the job out of its queue."""

    def __init__(self, fleet: "Fleet", queued: Queued) -> None:
        envelope, count = queued.envelope, queued.handed_out
        super().__init__(
            again(envelope, count) if count else envelope, fleet.world.journal, fleet.channel
        )
        self._fleet = fleet
        self._queued = queued

    async def ack(self) -> None:
        if not self.lost:
            await self._fleet.steps.passed()
        await super().ack()
        if self.acked:
            self._fleet.queue.remove(self._queued)


class Fleet:
    """The partition of `task_1`, and its workers.

    Args:
        mishaps: what happens before which step.
    """

    def __init__(self, mishaps: Mapping[int, str] | None = None) -> None:
        self.world, self.agent = world_of()
        self.steps = self.agent.steps = Steps(mishaps or {}, self._lose_link)
        self.world.publisher.gate = self.world.copies.gate = self.steps
        self.jobs: list[str] = []
        self.queue: list[Queued] = []
        self.channel = FakeChannel()
        self._flow = Flow(world=self.world)

    def publish(self, *texts: str, dated: bool = False) -> None:
        """Queue jobs with these texts."""
        for text in texts:
            job_id = f"job_{len(self.jobs)}"
            self.jobs.append(job_id)
            envelope = message(
                text=text, job_id=job_id, timestamp=self.world.clock.utc() if dated else None
            )
            body = {**json.loads(envelope.body), "job": job_id}
            self.queue.append(Queued(replace(envelope, body=json.dumps(body).encode())))

    async def work(self) -> None:
        """Work until the queue is empty; a worker that crashed is followed by another."""
        for _ in range(MANY):
            if not self.queue:
                return
            self.hand_out()
            await self._idle_or_crashed()
            if self.steps.crashed.is_set():
                await self._flow.die()
                self.steps.crashed.clear()
                self.world.clock.seconds += RESTART
                self._flow = Flow(world=self.world)
        raise AssertionError("the queue never became empty")

    def hand_out(self) -> None:
        """Hand out what is queued, over a new channel."""
        self.channel.lose()
        self.channel = FakeChannel()
        for queued in list(self.queue):
            delivery = QueuedDelivery(self, queued)
            queued.handed_out += 1
            self._flow.intake.receive(delivery)

    def check(self) -> None:
        """Each job was answered with its own answer, and asked again only where there was none."""
        for job_id in self.jobs:
            told = [reply for reply in self._told(job_id) if reply.terminal]
            assert {str(reply.kind) for reply in told} == {"final"}, job_id
            answers = {json.loads(reply.body)["text"] for reply in told}
            heard = [heard for heard in self.agent.heard if heard.job_id == job_id]
            assert [each.answer for each in heard if each.answer] == list(answers), job_id
        assert "settled twice" not in self.world.journal.entries

    def _told(self, job_id: str) -> list[Reply]:
        published = self.world.publisher.published
        return [reply for reply in published if reply.address.job_id == job_id]

    def _lose_link(self, mishap: str) -> None:
        self.channel.lose()
        if mishap == CUT:
            asyncio.get_running_loop().call_soon(self.hand_out)

    async def _idle_or_crashed(self) -> None:
        waits = [
            asyncio.create_task(wait) for wait in (self._flow.idle(), self.steps.crashed.wait())
        ]
        done, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in left:
            wait.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for wait in done:
            wait.result()
