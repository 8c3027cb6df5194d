"""A cluster of three RabbitMQ nodes loses the one that leads the jobs queues, under load."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from observer import Observer
from records import Event, Letter, Reply
from schedule import PlannedJob

from tests.containers.boxes import RABBITMQ, Site, published, until
from worker.testing import AuiSandboxContainer
from worker.testing.broker import ready

pytestmark = pytest.mark.anyio

NODES = ("rabbit-1", "rabbit-2", "rabbit-3")
COOKIE = b"for-these-three-nodes-alone"
JOINED = "".join(
    [
        "cluster_formation.peer_discovery_backend = classic_config\n",
        *(
            f"cluster_formation.classic_config.nodes.{number} = rabbit@{node}\n"
            for number, node in enumerate(NODES, 1)
        ),
    ]
)
TASKS, ROUNDS = 8, 5
BEFORE = TASKS
"""Jobs that have ended when the node is killed."""
ALL_WITHIN = 150.0
TEXT = "!load updates=25 interval=0.1 chunk=5 | round {round} of task {task}"


class Cluster:
    """Three nodes; the workers find one that lives by the name that all of them have."""

    def __init__(self, network: Any, stack: ExitStack) -> None:
        from testcontainers.core.container import DockerContainer

        self.boxes = {
            node: DockerContainer(
                RABBITMQ,
                network=network,
                network_aliases=[node, "rabbitmq"],
                hostname=node,
                ports=[5672],
                transferables=[
                    (COOKIE, "/var/lib/rabbitmq/.erlang.cookie", 0o400),
                    (JOINED.encode(), "/etc/rabbitmq/conf.d/20-cluster.conf", 0o644),
                ],
            )
            for node in NODES
        }
        for box in self.boxes.values():
            stack.enter_context(box)
        for node in NODES:
            ready(self.url(node), node, lambda: None)
        until("all nodes are members", lambda: len(self.ctl(NODES[0], *RUNNING).split(",")) == 3)

    def url(self, node: str) -> str:
        return published(self.boxes[node])

    def ctl(self, node: str, *words: str) -> str:
        done = self.boxes[node].get_wrapped_container().exec_run(["rabbitmqctl", "-q", *words])
        assert done.exit_code == 0, done.output
        return str(done.output.decode())

    def leader(self) -> str:
        """Return the node that leads the most jobs queues."""
        told = self.ctl(NODES[0], "list_queues", "--no-table-headers", "name", "leader")
        leads = [line.split("\t") for line in told.splitlines()]
        led = Counter(leader for name, leader in leads if name.startswith("aui.jobs."))
        return led.most_common(1)[0][0].removeprefix("rabbit@")


RUNNING = ("eval", 'io:format("~0p", [rabbit_nodes:list_running()]).')


@pytest.fixture
def clustered() -> Iterator[tuple[Cluster, Site]]:
    """Run a cluster, a sandbox and two workers."""
    from testcontainers.core.network import Network

    with Network() as network, ExitStack() as stack:
        cluster = Cluster(network, stack)
        aui = stack.enter_context(AuiSandboxContainer(network=network))
        site = Site(network, cluster.url(NODES[0]), aui, stack)
        for number in range(2):
            site.worker(f"worker-{number}")
        yield cluster, site


async def test_the_leader_of_the_jobs_queues_is_killed_under_load(
    clustered: tuple[Cluster, Site],
) -> None:
    """Lost: none. Each is asked once, in its order; an end may be told twice, never another one."""
    cluster, site = clustered
    tasks = [site.aui.sandbox.create_task().id for _ in range(TASKS)]
    jobs = [
        PlannedJob(number, f"job-{number}", TEXT.format(round=number // TASKS, task=number % TASKS))
        for number in range(TASKS * ROUNDS)
    ]
    leader = await asyncio.to_thread(cluster.leader)
    survivor = next(node for node in NODES if node != leader)
    events: list[Event] = []
    observer = Observer(cluster.url(survivor), events.append)
    async with observer.at_work():
        publishing = asyncio.create_task(publish(observer, jobs, tasks))
        await ended(observer, BEFORE)
        assert not publishing.done()
        cluster.boxes[leader].get_wrapped_container().kill("SIGKILL")
        await publishing
        await ended(observer, len(jobs))

    replies = [event for event in events if isinstance(event, Reply)]
    assert {job.job_id for job in jobs} == observer.accepted
    assert not [event for event in events if isinstance(event, Letter)]
    assert {reply.type for reply in replies if reply.terminal} == {"message.completed"}
    assert_one_end_each(replies)
    for number, task_id in enumerate(tasks):
        own = [job for job in jobs if job.number % TASKS == number]
        assert site.asked(task_id) == [job.text for job in own]
        assert first_ends(replies, own) == [job.job_id for job in own]
    site.amqp_url = cluster.url(survivor)
    await asyncio.to_thread(site.assert_nothing_is_left)


async def publish(observer: Observer, jobs: Sequence[PlannedJob], tasks: Sequence[str]) -> None:
    """Publish all, and not faster than they are worked on: it is to be load to the end."""
    for job in jobs:
        await observer.publish(job, tasks[job.number % TASKS])
        await ended(observer, job.number - 3 * TASKS)


async def ended(observer: Observer, number: int) -> None:
    """Wait until so many jobs have ended."""
    async with asyncio.timeout(ALL_WITHIN):
        while len(observer.ended) < number:  # noqa: ASYNC110 - it has no signal of its own
            await asyncio.sleep(0.05)


def assert_one_end_each(replies: Sequence[Reply]) -> None:
    """Hold that all ends of a job say the same, whoever repeated one."""
    bodies = defaultdict(set)
    for reply in replies:
        if reply.terminal:
            bodies[reply.job_id].add(reply.body)
    assert all(len(each) == 1 for each in bodies.values())


def first_ends(replies: Sequence[Reply], jobs: Sequence[PlannedJob]) -> list[str]:
    """Return these jobs in the order in which a subscriber heard of their ends."""
    own = {job.job_id for job in jobs}
    told = [reply.job_id for reply in replies if reply.terminal and reply.job_id in own]
    return list(dict.fromkeys(told))
