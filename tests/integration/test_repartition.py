"""Another number of partitions, on a real RabbitMQ: no job is lost, run twice or forgotten."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from broker import Broker
from harness import CANARY, TERMINAL, Bench, bench, settings, working
from programs import environment, finished

from worker.amqp import declare, guard, repartition
from worker.amqp.link import linked
from worker.amqp.repartition import Refused, Repartition, plan_kept
from worker.amqp.session import Session
from worker.amqp.standing import queues_of
from worker.core.errors import ConfigurationError, LinkLost
from worker.core.repartition import Plan
from worker.core.slots import slot_of
from worker.core.topology import REPARTITION, partition_queue, unslotted
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MOST = 8


@pytest.fixture(scope="module")
def amqp_url(broker: Broker) -> Iterator[str]:
    """Lend a virtual host of the module's own: nothing is changed while any worker is connected."""
    name, where = f"v{uuid.uuid4().hex[:8]}", urlsplit(broker.url)
    broker.ctl("add_vhost", name)
    broker.ctl("set_permissions", "-p", name, where.username or "guest", ".*", ".*", ".*")
    yield f"amqp://{where.netloc}/{name}"
    broker.ctl("delete_vhost", name)


@pytest.fixture
async def at(amqp_url: str) -> AsyncIterator[Bench]:
    """Lend a bench on a network whose partitions may become more."""
    async with bench(amqp_url, partitions=MOST) as lent:
        yield lent
        await (await lent.connection.channel()).queue_delete(REPARTITION)


@pytest.fixture
async def session(amqp_url: str) -> AsyncIterator[Session]:
    """Lend a connection of the operator's."""
    async with linked("operator", amqp_url) as link:
        yield await link.session()


@dataclass
class Shop:
    """A network with its tasks, whose workers come and go."""

    at: Bench
    amqp_url: str
    sandbox: Sandbox
    jobs: list[str] = field(default_factory=list)

    async def stand(self, partitions: int) -> None:
        """Have a worker make the queues, and go."""
        async with self.working(partitions):
            pass

    def working(self, partitions: int) -> Any:
        """Run a worker."""
        return working(
            settings(self.amqp_url, self.sandbox, self.at.network, partitions=partitions)
        )

    async def say(self, count: int) -> None:
        """Publish as many jobs, to tasks all over the slots."""
        for _ in range(count):
            task = self.sandbox.create_task("user")
            self.jobs.append(await self.at.say(task.id, "!final-only | hello"))

    def task(self, slot: str) -> str:
        """Create a task of that slot."""
        tasks = (self.sandbox.create_task("user").id for _ in range(10_000))
        return next(task for task in tasks if slot_of(task) == slot)

    async def all_answered(self, partitions: int) -> None:
        """Start a worker, and see that each job was asked once and answered once."""
        hub = await self.at.hub()
        async with self.working(partitions):
            for job in self.jobs:
                await hub.ended(job)
        ended = Counter(m.headers["aui-job-id"] for m in hub.messages if m.type in TERMINAL)
        assert ended == dict.fromkeys(self.jobs, 1)
        assert len(self.sandbox.store.user_messages()) == len(self.jobs)


@pytest.fixture
def shop(at: Bench, amqp_url: str, sandbox: Sandbox) -> Shop:
    """Lend a shop."""
    return Shop(at, amqp_url, sandbox)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Run a sandbox of the test's own: its messages are counted."""
    async with Sandbox(api_key=CANARY, word_delay=0.0) as running:
        yield running


async def no_time(_: float) -> None:
    """Let no time pass."""


@pytest.mark.parametrize(("before", "to"), [(2, 8), (8, 2), (1, 2), (2, 1)])
async def test_jobs_that_come_during_a_change_are_answered_once(
    shop: Shop, session: Session, before: int, to: int
) -> None:
    """While the slots are unbound, and after it, before any worker is there."""
    await shop.stand(before)

    plan = await Repartition(session, lambda _: shop.say(20)).run([shop.at.network], to)
    await shop.say(20)
    found = await queues_of(session, shop.at.network)

    assert plan == Plan(to, {shop.at.network: before}, decided=True)
    assert found.number == to
    assert sum(queue.ready for queue in found.queues) == 40
    assert found.unslotted is not None
    assert found.unslotted.ready == 20
    await shop.all_answered(to)


@pytest.mark.parametrize("queue", [partition_queue, lambda network, _: unslotted(network)])
async def test_nothing_is_changed_while_a_job_is_queued(
    shop: Shop, session: Session, queue: Callable[[str, int], str]
) -> None:
    """The queue is named, with how many it holds."""
    await shop.stand(2)
    name = queue(shop.at.network, 0)
    key = "00" if name.endswith("p00") else "no slot"
    await shop.at.publish({"task_id": "t", "text": "hi"}, key=key)

    with pytest.raises(Refused, match=rf"{name} \(1\)"):
        await Repartition(session).run([shop.at.network], 8)

    assert await plan_kept(session) is None
    assert (await queues_of(session, shop.at.network)).number == 2
    async with shop.working(2):
        pass


async def test_nothing_is_changed_while_a_worker_is_connected(shop: Shop, session: Session) -> None:
    """Not even one whose partitions are closed: it still takes what the broker drops."""
    await shop.stand(2)
    async with shop.working(2):
        with pytest.raises(Refused, match=rf"stop them first.*{shop.at.network}.p00"):
            await Repartition(session).run([shop.at.network], 8)
    other = f"{shop.at.network}b"
    async with working(settings(shop.amqp_url, shop.sandbox, other)):
        with pytest.raises(Refused, match=r"consume aui\.dropped$"):
            await Repartition(session).run([shop.at.network], 8)
    for name in (partition_queue(other, 0), partition_queue(other, 1), unslotted(other)):
        await shop.at.channel.queue_delete(name)

    await shop.all_answered(2)


async def test_what_came_in_the_last_moment_is_found_and_all_is_as_before(
    shop: Shop, session: Session
) -> None:
    """A job that was routed before its slot was unbound."""
    await shop.stand(2)
    queue = partition_queue(shop.at.network, 1)
    jobs = await shop.at.jobs()

    async def late(_: float) -> None:
        bound = await shop.at.channel.get_queue(queue, ensure=False)
        await bound.bind(jobs, "ff")
        shop.jobs.append(await shop.at.say(shop.task("ff"), "!final-only | late"))
        await bound.unbind(jobs, "ff")
        await shop.say(5)

    with pytest.raises(Refused, match=rf"{queue} \(1\)"):
        await Repartition(session, late).run([shop.at.network], 8)

    await shop.say(5)
    found = await queues_of(session, shop.at.network)
    assert found.unslotted is not None
    assert found.unslotted.ready == 5
    assert await plan_kept(session) is None
    await shop.all_answered(2)


async def test_a_slot_that_a_late_worker_bound_as_before_is_unbound(
    shop: Shop, session: Session
) -> None:
    """One that had looked before the change began: bound twice, a job would run twice."""
    await shop.stand(2)
    jobs = await shop.at.jobs()
    queue = await shop.at.channel.get_queue(partition_queue(shop.at.network, 1), ensure=False)

    async def late(_: float) -> None:
        await queue.bind(jobs, "ff")

    await Repartition(session, late).run([shop.at.network], 8)
    shop.jobs.append(await shop.at.say(shop.task("ff"), "!final-only | once"))

    await shop.all_answered(8)


class Cut:
    """Fails one of the operations on the broker, and all after it."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.done = 0

    async def guarded(self, operation: Awaitable[Any]) -> Any:
        """Stand in for the gate of every AMQP await."""
        self.done += 1
        if self.done >= self.at:
            await guard.guarded(operation)
            raise LinkLost("cut")
        return await guard.guarded(operation)


@pytest.fixture(scope="module")
async def operations(amqp_url: str) -> int:
    """Count the operations of a change."""
    cut = Cut(1_000_000)
    async with bench(amqp_url, partitions=MOST) as lent, linked("counted", amqp_url) as link:
        session = await link.session()
        await declare.establish(session, [lent.network], 2, "declare")
        with pytest.MonkeyPatch.context() as patch:
            count_with(patch, cut)
            await Repartition(session, no_time).run([lent.network], MOST)
    return cut.done


def count_with(patch: pytest.MonkeyPatch, cut: Cut) -> None:
    """Have every operation of a change pass through."""
    for module in (repartition, declare):
        patch.setattr(module, "guarded", cut.guarded)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", [0.0, 0.004, 0.2, 0.5, 0.75, 0.98, 1.0])
async def test_a_change_that_is_killed_can_be_finished_or_is_as_if_it_had_not_begun(
    shop: Shop, amqp_url: str, monkeypatch: pytest.MonkeyPatch, operations: int, part: float
) -> None:
    """At any moment, with jobs coming in: no worker starts half-way, and no job gets lost."""
    network = shop.at.network
    await shop.stand(2)
    cut = Cut(1 + round(part * (operations - 1)))
    async with linked("killed", amqp_url) as link:
        with monkeypatch.context() as patch:
            count_with(patch, cut)
            with pytest.raises(LinkLost, match="cut"):
                await Repartition(await link.session(), no_time).run([network], 8)
    await shop.say(30)

    async with linked("operator", amqp_url) as link:
        session = await link.session()
        begun = await plan_kept(session)
        if begun is not None:
            for partitions in (2, 8):
                with pytest.raises(ConfigurationError, match="being changed"):
                    async with shop.working(partitions):
                        pass
        if begun is not None and begun.decided:
            await Repartition(session, no_time).run([network], 8)
        else:
            with suppress(Refused):
                await Repartition(session, no_time).run([network], 8)
        number = (await queues_of(session, network)).number
        assert await plan_kept(session) is None

    assert number in (2, 8)
    await shop.all_answered(number)


async def test_a_change_is_finished_as_it_was_begun(
    shop: Shop, amqp_url: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the number it was begun for, and by one at a time."""
    await shop.stand(2)
    async with linked("killed", amqp_url) as link:
        with monkeypatch.context() as patch:
            count_with(patch, Cut(200))
            with pytest.raises(LinkLost, match="cut"):
                await Repartition(await link.session(), no_time).run([shop.at.network], 8)
        with pytest.raises(Refused, match="somebody else"):
            await Repartition(session).run([shop.at.network], 8)

    with pytest.raises(Refused, match="a change to 8"):
        await Repartition(session).run([shop.at.network], 4)
    assert await plan_kept(session) == Plan(8, {shop.at.network: 2})
    await Repartition(session, no_time).run(["another"], 8)

    assert (await queues_of(session, shop.at.network)).number == 8
    await shop.say(10)
    await shop.all_answered(8)


async def test_queues_that_are_no_whole_set_are_left_alone(shop: Shop, session: Session) -> None:
    """Nobody can say how their slots are bound."""
    await shop.stand(2)
    await shop.at.channel.queue_delete(partition_queue(shop.at.network, 0))

    with pytest.raises(Refused, match="no whole set"):
        await Repartition(session).run([shop.at.network], 8)


async def test_where_nothing_is_to_change_nothing_is_in_the_way(
    shop: Shop, session: Session
) -> None:
    """Not even a worker."""
    async with shop.working(2):
        same = await Repartition(session).run([shop.at.network, "nowhere"], 2)

    assert same == Plan(2, {})
    assert await plan_kept(session) is None


async def test_the_command_prints_and_changes_the_number(shop: Shop, amqp_url: str) -> None:
    """As an operator uses it: look, try, stop the workers, change, start them with the new one."""
    network = shop.at.network
    env = environment(amqp_url, WORKER_PARTITIONS="2")
    words = ["partitions", "--network", network]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(shop.working(2))
        looked = await finished(*words, env=env)
        refused = await finished(*words, "--to", "4", env=env)
    changed = await finished(*words, "--to", "4", env=env)
    wrong = await finished(*words, "--to", "12", env=env)

    assert looked[0] == 0
    assert f"{partition_queue(network, 1)}" in looked[1]
    assert f"network {network}: 2 partitions\n" in looked[1]
    assert refused[0] == 1
    assert "stop them first" in refused[2]
    assert changed[0] == 0
    assert f"network {network}: 4 partitions, but WORKER_PARTITIONS is 2" in changed[1]
    assert "Set WORKER_PARTITIONS=4" in changed[1]
    assert wrong[0] == 2
    assert not any("Traceback" in out + errors for _, out, errors in (looked, refused, changed))
    with pytest.raises(ConfigurationError, match="WORKER_PARTITIONS: 2 are set"):
        await shop.stand(2)
    await shop.say(8)
    await shop.all_answered(4)
