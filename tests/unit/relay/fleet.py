"""A queue whose deliveries get lost, AUI, and one worker after another, until all is done."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.fakes import FakeChannel, FakeDelivery, Valve
from tests.unit.relay.flow import Flow, World, again, message
from tests.unit.relay.oracle import world_of
from worker.core.envelope import Envelope
from worker.core.reply import Reply

CRASH = "crash"
"""The worker does nothing any more; another one follows it."""
CUT = "cut"
"""The consuming link is lost, and back at once."""
LOSE = "lose"
"""The consuming link is lost, and back once the worker has nothing left to do."""
RECALL = "recall"
"""The queue is drained: what is not begun goes back to it."""
RESTART = 2.0
"""Seconds until a dead worker's jobs are handed out again; the history lags by less."""
MANY = 40


class Steps(Valve):
    """Counts what a worker does to the world, and lets things happen just before some of it.

    Args:
        mishaps: what happens before which step.
        happen: lets it happen, but for a crash.
    """

    def __init__(self, mishaps: Mapping[int, str], happen: Callable[[str], None]) -> None:
        super().__init__()
        self.taken = 0
        self.crashed = asyncio.Event()
        self._mishaps = mishaps
        self._happen = happen

    async def passed(self) -> None:
        if not self.crashed.is_set():
            self.taken += 1
            mishap = self._mishaps.get(self.taken)
            if mishap == CRASH:
                self.crashed.set()
            elif mishap is not None:
                self._happen(mishap)
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

    def __init__(self, queue: "Queue", queued: Queued) -> None:
        envelope, count = queued.envelope, queued.handed_out
        super().__init__(
            again(envelope, count) if count else envelope,
            queue.world.journal,
            queue.channel,
            queue.world.clock.seconds,
        )
        self._queue = queue
        self._queued = queued

    async def ack(self) -> None:
        if not self.lost:
            await self._queue.steps.passed()
        await super().ack()
        if self.acked:
            self._queue.jobs.remove(self._queued)


class Queue:
    """Hands its jobs out in order, over one channel after another, until they are acked.

    Attributes:
        world: where it is.
        jobs: what is not acked, in order.
        channel: what they were last handed out over.
        deliveries: every hand-over there ever was.
        receive: takes them.
        steps: counts what is done.
    """

    def __init__(self, world: World, mishaps: Mapping[int, str]) -> None:
        self.world = world
        self.jobs: list[Queued] = []
        self.channel = FakeChannel()
        self.deliveries: list[QueuedDelivery] = []
        self.receive: Callable[[FakeDelivery], None] = lambda _: None
        self.steps = Steps(mishaps, self._happen)
        world.publisher.gate = world.copies.gate = self.steps

    def put(self, envelope: Envelope) -> None:
        """Queue a job."""
        self.jobs.append(Queued(envelope, envelope.delivery_count))

    def hand_out(self) -> None:
        """Hand out what is queued, over a new channel."""
        self.channel.lose()
        self.channel = FakeChannel()
        for queued in list(self.jobs):
            delivery = QueuedDelivery(self, queued)
            queued.handed_out += 1
            self.deliveries.append(delivery)
            self.receive(delivery)

    def _happen(self, mishap: str) -> None:
        if mishap == RECALL:
            self.channel.recall()
            return
        self.channel.lose()
        if mishap == CUT:
            asyncio.get_running_loop().call_soon(self.hand_out)


class Fleet:
    """The partition of `task_1`, and its workers.

    Args:
        mishaps: what happens before which step.
    """

    def __init__(self, mishaps: Mapping[int, str]) -> None:
        self.world, self.agent = world_of()
        self.queue = Queue(self.world, mishaps)
        self.steps = self.agent.steps = self.queue.steps
        self.jobs: list[str] = []
        self._flow = self._worker()

    def publish(self, *texts: str, dated: bool = False) -> None:
        """Queue jobs with these texts."""
        for text in texts:
            job_id = f"job_{len(self.jobs)}"
            self.jobs.append(job_id)
            envelope = message(
                text=text, job_id=job_id, timestamp=self.world.clock.utc() if dated else None
            )
            body = {**json.loads(envelope.body), "job": job_id}
            self.queue.put(replace(envelope, body=json.dumps(body).encode()))

    async def work(self) -> None:
        """Work until the queue is empty; a worker that crashed is followed by another."""
        for _ in range(MANY):
            if not self.queue.jobs:
                return
            self.queue.hand_out()
            await self._idle_or_crashed()
            if self.steps.crashed.is_set():
                await self._flow.die()
                self.steps.crashed.clear()
                self.world.clock.seconds += RESTART
                self._flow = self._worker()
        raise AssertionError("the queue never became empty")

    def check(self) -> None:
        """Each job was answered with its own answer, and asked again only where there was none."""
        for job_id in self.jobs:
            told = [reply for reply in self._told(job_id) if reply.terminal]
            assert {str(reply.kind) for reply in told} == {"final"}, job_id
            answers = {json.loads(reply.body)["text"] for reply in told}
            heard = [heard for heard in self.agent.heard if heard.job_id == job_id]
            assert [each.answer for each in heard if each.answer] == list(answers), job_id
        assert "settled twice" not in self.world.journal.entries

    def _worker(self) -> Flow:
        flow = Flow(world=self.world)
        self.queue.receive = flow.intake.receive
        return flow

    def _told(self, job_id: str) -> list[Reply]:
        published = self.world.publisher.published
        return [reply for reply in published if reply.address.job_id == job_id]

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
