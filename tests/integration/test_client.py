"""The client against a worker: asking, listening, and what it says where that goes wrong."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from harness import PATIENCE, Bench
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from worker.client import (
    Client,
    ClientError,
    Created,
    Failed,
    Final,
    InvalidRequest,
    JobFailed,
    NoAnswer,
    NotAccepted,
    Reply,
    Retrying,
    Update,
)
from worker.sandbox import Sandbox

pytestmark = pytest.mark.anyio

UNHURRIED = "!load updates=20 interval=0.05 chunk=5 | a microwave"
"""Comes at a human pace: of an answer that is there at once only the final need be told."""


@pytest.fixture
async def aui(served: Bench, amqp_url: str) -> AsyncIterator[Client]:
    """Lend a client of the bench's network."""
    async with Client(amqp_url, served.network, "web") as client:
        yield client


async def until_ended(replies: AsyncIterator[Reply], job_id: str) -> list[Reply]:
    """Read up to the end of a job."""
    read: list[Reply] = []
    async with asyncio.timeout(PATIENCE):
        async for reply in replies:
            read.append(reply)
            if reply.terminal and reply.job_id == job_id:
                break
    return read


async def test_a_task_is_asked_and_its_text_grows_up_to_the_answer(
    aui: Client, sandbox: Sandbox
) -> None:
    task, texts = sandbox.create_task("user"), list[str]()

    final = await aui.ask(
        UNHURRIED, task_id=task.id, on_update=lambda update: texts.append(update.text)
    )

    assert final.text == sandbox.store.tasks[task.id].messages[-1].text
    assert texts
    assert all(final.text.startswith(text) for text in texts)
    assert (final.network, final.channel, final.task_id) == (aui.network, "web", task.id)
    assert final.followup_suggestions
    assert final.options[0].name


async def test_an_update_may_be_awaited(aui: Client, sandbox: Sandbox) -> None:
    seen = asyncio.Event()

    async def show(_: Update) -> None:
        await asyncio.sleep(0)
        seen.set()

    await aui.ask(UNHURRIED, task_id=sandbox.create_task("user").id, on_update=show)
    assert seen.is_set()


async def test_a_user_is_asked_without_knowing_a_task(aui: Client) -> None:
    user = uuid.uuid4().hex
    first = await aui.ask("a microwave", user_id=user)
    second = await aui.ask("and the cheapest one?", user_id=user)
    other = await aui.ask("from the start", user_id=user, new_conversation=True)

    assert first.task_id == second.task_id != other.task_id
    assert (first.user_id, first.network, first.channel) == (user, aui.network, "web")


async def test_who_wants_no_updates_gets_none(aui: Client, served: Bench, sandbox: Sandbox) -> None:
    hub = await served.hub()
    final = await aui.ask("a microwave", task_id=sandbox.create_task("user").id)
    await hub.ended(final.job_id)
    assert hub.texts(final.job_id) == []


async def test_replies_tell_all_that_happens_to_a_task(aui: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    async with aui.replies(task.id) as replies:
        job = await aui.send("!1011 after=3 times=1 | a microwave", task_id=task.id)
        read = await until_ended(replies, job)

    kinds = [type(reply) for reply in read]
    (retrying,) = [reply for reply in read if isinstance(reply, Retrying)]
    assert retrying.reason == "upstream_error"
    assert kinds[-1] is Final
    assert [reply.place for reply in read] == sorted(reply.place for reply in read)


async def test_a_new_task_is_announced(aui: Client) -> None:
    user = uuid.uuid4().hex
    async with aui.watch(f"{aui.network}.web.*.created", f"{aui.network}.*.*.final") as replies:
        job = await aui.send("hello", user_id=user)
        created, final = await until_ended(replies, job)
    assert isinstance(created, Created)
    assert (created.user, created.task_id) == (user, final.task_id)


async def test_a_plain_loop_listens_from_its_first_turn(aui: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    replies = aiter(aui.replies(task.id))
    coming = asyncio.ensure_future(anext(replies))
    # It listens once it is bound: until then jobs end unheard.
    async with asyncio.timeout(PATIENCE):
        while not coming.done():
            await aui.ask("!final-only | hello", task_id=task.id)
    assert isinstance(await coming, Final)


async def test_a_loop_that_is_left_listens_no_more(aui: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")

    async def first() -> Reply:
        async for reply in aui.replies(task.id):
            return reply
        raise AssertionError("ended")

    coming = asyncio.create_task(first())
    async with asyncio.timeout(PATIENCE):
        while not coming.done():
            await aui.ask("!final-only | hello", task_id=task.id)
        hearing = await aui._connection.hearing()  # noqa: SLF001  only it knows who listens
        while hearing._by_key:  # noqa: ASYNC110, SLF001  a generator is closed in its own time
            await asyncio.sleep(0.01)


async def test_a_refusal_says_what_to_tell_the_user(aui: Client, sandbox: Sandbox) -> None:
    task = sandbox.create_task("user")
    with pytest.raises(JobFailed) as failed:
        await aui.ask("!400 | unspeakable", task_id=task.id)
    assert (failed.value.reason, failed.value.status_code) == ("bad_request", 400)
    assert failed.value.advice == "rephrase"
    assert isinstance(failed.value.reply, Failed)


async def test_who_stops_waiting_is_told_that_the_job_goes_on(
    aui: Client, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    async with aui.replies(task.id) as replies:
        with pytest.raises(NoAnswer) as none:
            await aui.ask("!stall seconds=1 | slowly", task_id=task.id, timeout=0.2)
        read = await until_ended(replies, none.value.job_id)
    assert isinstance(read[-1], Final)


async def test_the_same_job_id_twice_is_answered_twice_and_asked_once(
    aui: Client, sandbox: Sandbox
) -> None:
    """A platform that delivers its webhook twice, at once."""
    task, job = sandbox.create_task("user"), f"wamid.{uuid.uuid4().hex}"
    asking = [aui.ask("hello", task_id=task.id, job_id=job) for _ in range(3)]
    one, two, three = await asyncio.gather(*asking)
    assert one.raw == two.raw == three.raw
    assert len(sandbox.store.user_messages(task.id)) == 1


async def test_two_hundred_at_once_over_one_client(aui: Client, sandbox: Sandbox) -> None:
    tasks = [sandbox.create_task("user") for _ in range(200)]
    finals = await asyncio.gather(
        *(aui.ask(f"!final-only | {n}", task_id=task.id) for n, task in enumerate(tasks))
    )
    assert [final.task_id for final in finals] == [task.id for task in tasks]


async def test_two_clients_hear_the_same(
    aui: Client, served: Bench, amqp_url: str, sandbox: Sandbox
) -> None:
    task = sandbox.create_task("user")
    async with Client(amqp_url, served.network) as other, other.replies(task.id) as replies:
        final = await aui.ask("hello", task_id=task.id)
        read = await until_ended(replies, final.job_id)
    assert read[-1].raw == final.raw


async def test_a_network_that_nobody_serves_is_named(aui: Client) -> None:
    with pytest.raises(NotAccepted, match=r"no exchange aui.jobs.nowhere") as refused:
        await aui.send("hi", task_id="t1", network="nowhere")
    assert not refused.value.maybe_queued


async def test_a_missing_network_fails_nobody_else(aui: Client, sandbox: Sandbox) -> None:
    """The broker closes the channel for it, with all publishes that are under way."""
    tasks = [sandbox.create_task("user") for _ in range(20)]
    lost = [aui.send("hi", task_id="t1", network="nowhere") for _ in range(5)]
    sent = [aui.ask("!final-only | hi", task_id=task.id) for task in tasks]
    outcomes = await asyncio.gather(*lost, *sent, return_exceptions=True)
    assert all(isinstance(outcome, NotAccepted) for outcome in outcomes[:5])
    assert all(isinstance(outcome, Final) for outcome in outcomes[5:])


async def test_a_mistake_is_told_before_anything_is_sent(aui: Client, sandbox: Sandbox) -> None:
    before = len(sandbox.store.user_messages())
    with pytest.raises(InvalidRequest, match="task_id must match"):
        await aui.ask("hi", task_id="a.b")
    with pytest.raises(InvalidRequest, match="task_id must match"):
        aui.replies("a.b")
    assert len(sandbox.store.user_messages()) == before


async def test_the_trace_goes_on_in_the_worker_and_comes_back(
    aui: Client, sandbox: Sandbox
) -> None:
    trace_id = uuid.uuid4().int
    span = NonRecordingSpan(SpanContext(trace_id, 7, is_remote=False, trace_flags=TraceFlags(1)))
    token = context.attach(trace.set_span_in_context(span))
    try:
        final = await aui.ask("hello", task_id=sandbox.create_task("user").id)
    finally:
        context.detach(token)
    came = trace.get_current_span(final.trace_context).get_span_context()
    assert came.trace_id == trace_id


async def test_a_client_that_is_not_entered_says_so(amqp_url: str) -> None:
    client = Client(amqp_url)
    with pytest.raises(ClientError, match="enter the client first"):
        await client.send("hi", task_id="t1")


async def test_leaving_a_client_ends_what_waits(served: Bench, amqp_url: str) -> None:
    async with Client(amqp_url, served.network) as client:
        replies = client.replies("t1")
        await replies.__aenter__()
        coming = asyncio.ensure_future(anext(replies, None))
        await asyncio.sleep(0)
    assert await coming is None
