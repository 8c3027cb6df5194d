"""Finds the task that a job by user belongs to, or makes one, also where only that is asked.

A user's task is remembered, so that two quick messages of a new user are one conversation: the
list that AUI shows may lag behind.
"""

from collections.abc import Mapping, Sequence

from cachetools import LRUCache

from worker.core.conversation import Task, already_made_for, latest
from worker.core.job import Job, Request
from worker.core.said import Said
from worker.relay.ports import Agent
from worker.telemetry.tracing import UNTRACED, JobTrace

REMEMBERED = 20_000


class Users:
    """Knows the latest task of each user it has met lately.

    Args:
        agents: AUI, by network.
    """

    def __init__(self, agents: Mapping[str, Agent]) -> None:
        self._agents = agents
        self._tasks: LRUCache[tuple[str, str], str] = LRUCache(REMEMBERED)
        self._made: LRUCache[tuple[str, str, str], Task] = LRUCache(REMEMBERED)
        self._found: LRUCache[tuple[str, str, str], str] = LRUCache(REMEMBERED)

    async def task_for(
        self, job: Job, *, repeated: bool, trace: JobTrace = UNTRACED
    ) -> tuple[str, Task | None]:
        """Return the id of the task to continue, and the task itself if it is to be announced.

        Args:
            job: a job by user.
            repeated: an earlier delivery or attempt may have made the task already.
            trace: the job's.

        Raises:
            AgentUnavailable: AUI did not say.
        """
        address = job.address
        agent, user_id = self._agents[address.network], address.user_id or ""
        # The same job, come twice, belongs to the same task: its answer may be known there.
        found = self._found.get((address.network, user_id, address.job_id))
        known = None if repeated else found
        if known is None and not job.new_conversation:
            known = self._tasks.get((address.network, user_id))
        if known is not None:
            self._remember(job, known)
            return known, None
        newest = None
        if repeated or not job.new_conversation:
            newest = await self._latest(agent, user_id, trace)
        history: Sequence[Said] = ()
        if repeated and newest:
            with trace.call("task_messages"):
                history = await agent.task_messages(newest.id)
        if job.new_conversation and newest:
            ours = already_made_for(job.text, newest, history, job.published_at)
            newest = newest if ours else None
        task = newest or await self._create(agent, user_id, trace)
        self._remember(job, task.id)
        # A delivery that died between making a task and announcing it left one without a word.
        fresh = newest is None or (repeated and not any(said.by_user for said in history))
        return task.id, task if fresh or job.new_conversation else None

    async def create_for(
        self, request: Request, *, repeated: bool, trace: JobTrace = UNTRACED
    ) -> Task:
        """Make the task that was asked for, or return the one made for the same request before.

        Args:
            request: who it is for.
            repeated: an earlier delivery or attempt may have made it already.
            trace: the request's.

        Raises:
            AgentUnavailable: AUI did not say.
        """
        address = request.address
        agent, user_id = self._agents[address.network], address.user_id or ""
        key = address.network, user_id, address.job_id
        task = self._made.get(key)
        if task is None and repeated:
            newest = await self._latest(agent, user_id, trace)
            if newest and await self._is_unused(agent, newest, request.published_at, trace):
                task = newest
        task = task or await self._create(agent, user_id, trace)
        self._made[key] = task
        self._tasks[address.network, user_id] = task.id
        return task

    def forget(self, network: str, user_id: str, task_id: str) -> None:
        """Forget a task that AUI does not know any more."""
        if self._tasks.get((network, user_id)) == task_id:
            del self._tasks[network, user_id]
        for job in [job for job, found in self._found.items() if found == task_id]:
            del self._found[job]

    async def _is_unused(
        self, agent: Agent, task: Task, since: float | None, trace: JobTrace
    ) -> bool:
        """Tell whether nobody has spoken in a task yet, which is no older than a request."""
        with trace.call("task_messages"):
            history = await agent.task_messages(task.id)
        return already_made_for("", task, history, since)

    async def _create(self, agent: Agent, user_id: str, trace: JobTrace) -> Task:
        with trace.call("create_task"):
            return await agent.create_task(user_id)

    async def _latest(self, agent: Agent, user_id: str, trace: JobTrace) -> Task | None:
        with trace.call("list_tasks"):
            first = await agent.list_tasks(user_id)
        tasks = list(first.tasks)
        if first.last > 1:
            with trace.call("list_tasks"):
                tasks += (await agent.list_tasks(user_id, first.last)).tasks
        return latest(tasks)

    def _remember(self, job: Job, task_id: str) -> None:
        network, user_id = job.address.network, job.address.user_id or ""
        self._tasks[network, user_id] = task_id
        self._found[network, user_id, job.address.job_id] = task_id
