"""The public API as another program's type checker sees it; never run, only checked.

Each ``type: ignore`` stands for a mistake that the types have to catch: mypy --strict complains
about one that is not needed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never, assert_type

from opentelemetry.context import Context

from worker.client import (
    Advice,
    Client,
    ClientError,
    Created,
    Failed,
    Final,
    InvalidRequest,
    JobFailed,
    Message,
    NoAnswer,
    NotAccepted,
    NotConnected,
    NotListening,
    Option,
    Reply,
    Retrying,
    Task,
    TaskPage,
    Update,
)
from worker.client.blocking import Client as BlockingClient


async def asks(url: str) -> None:
    """Every call returns what it says."""
    async with Client(url, "acme", "sms", confirm_timeout=5, connect_timeout=None) as aui:
        assert_type(aui, Client)
        context = {"url": "https://x", "lead_details": {"a": 1}}
        assert_type(await aui.send("hi", task_id="t", context=context, expires_in=2.5), str)
        assert_type(await aui.ask("hi", user_id="u", timeout=3, new_conversation=True), Final)
        assert_type(await aui.ask("hi", user_id="u", on_update=shown), Final)
        assert_type(await aui.ask("hi", user_id="u", on_update=awaited), Final)
        assert_type(await aui.post_message("hi", task_id="t", job_id="j"), Final)
        assert_type(await aui.create_task("u"), Task)
        assert_type(await aui.list_tasks("u", page=2, size=10), TaskPage)
        assert_type(await aui.task_messages("t"), list[Message])


async def listens(aui: Client) -> None:
    """Streams yield replies, told apart by their class."""
    async with aui.replies("t", network="acme") as replies:
        async for reply in replies:
            assert_type(reply, Reply)
            tell(reply)
        assert_type(await anext(replies), Reply)
    async for reply in aui.replies("t"):
        await reply.ack()
    async with aui.watch() as everything:
        tell(await anext(everything))
    async with aui.subscribe("acme.sms.*.final", queue="sub.acme-sms", prefetch=4) as mine:
        async for reply in mine:
            await reply.give_back(after=2)
            await reply.ack()


def blocks(url: str) -> None:
    """The blocking client, likewise."""
    with BlockingClient(url, "acme") as aui:
        assert_type(aui.send("hi", task_id="t"), str)
        assert_type(aui.ask("hi", task_id="t", on_update=shown), Final)
        assert_type(aui.task_messages("t"), list[Message])
        with aui.replies("t") as replies:
            for reply in replies:
                assert_type(reply, Reply)
        for reply in aui.replies("t"):
            tell(reply)
        with aui.subscribe("#", queue="sub.all") as mine:
            for reply in mine:
                reply.ack()
    assert_type(BlockingClient(url).open(), BlockingClient)


def tell(reply: Reply) -> None:
    """The fields of each kind."""
    assert_type(reply.task_id, str)
    assert_type(reply.user_id, str | None)
    assert_type(reply.place, tuple[int, int])
    assert_type(reply.raw, bytes)
    assert_type(reply.trace_context, Context)
    match reply:
        case Update() | Final():
            assert_type(reply.text, str)
        case Failed():
            assert_type(reply.advice, Advice)
            assert_type(reply.status_code, int | None)
        case Retrying():
            assert_type(reply.retry_in, float)
        case Created():
            assert_type(reply.user, str)
            assert_type(reply.task, Task)
    if isinstance(reply, Final):
        assert_type(reply.options, tuple[Option, ...])
        assert_type(reply.followup_suggestions, tuple[str, ...])
        assert_type(reply.recovered, bool)


def advise(error: ClientError) -> str:
    """The errors, and that no advice is left out."""
    if isinstance(error, JobFailed):
        assert_type(error.reply, Failed)
        match error.advice:
            case "rephrase" | "try_later" | "operator" as advice:
                return advice
            case never:
                assert_never(never)
    if isinstance(error, NotAccepted):
        assert_type(error.maybe_queued, bool)
        return error.job_id
    if isinstance(error, NoAnswer):
        return error.job_id
    if isinstance(error, InvalidRequest):
        return error.field
    return str(error) if isinstance(error, NotConnected | NotListening) else ""


def reads(page: TaskPage, message: Message) -> None:
    """Models."""
    assert_type(page.tasks, tuple[Task, ...])
    assert_type(message.created_at, datetime | None)
    assert_type([one.value for one in message.options[0].parameters], list[Any])


def shown(update: Update) -> None:
    """Takes an update."""


async def awaited(update: Update) -> None:
    """Takes an update, in its own time."""


async def mistakes(aui: Client, blocking: BlockingClient, replies: Sequence[Reply]) -> None:
    """What has to be caught."""
    await aui.send(task_id="t")  # type: ignore[call-arg]
    await aui.send("hi", "t")  # type: ignore[call-arg]
    await aui.send("hi", task_id=7)  # type: ignore[arg-type]
    await aui.send("hi", task_id="t", chanel="sms")  # type: ignore[call-arg]
    await aui.ask("hi", task_id="t", on_update=len)  # type: ignore[arg-type]
    await aui.ask("hi", task_id="t", reply_to="sub.x")  # type: ignore[call-arg]
    aui.subscribe("#")  # type: ignore[call-arg]
    aui.ask("hi", task_id="t").text  # type: ignore[attr-defined]  # noqa: B018
    blocking.ask("hi", task_id="t", on_update=awaited)  # type: ignore[arg-type]
    replies[0].text  # type: ignore[attr-defined]  # noqa: B018
    replies[0].seq = 1  # type: ignore[misc]
    for _ in aui.replies("t"):  # type: ignore[attr-defined]
        pass
