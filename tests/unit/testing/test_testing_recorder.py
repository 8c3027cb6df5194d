"""The recorder of replies: what it asserts, and what it says when that does not hold."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator

import aio_pika
import pytest
from aio_pika.abc import AbstractExchange

from worker.testing import ReplyRecorder, recorded_replies

pytestmark = pytest.mark.anyio


@pytest.fixture
def replies(amqp_url: str) -> Iterator[ReplyRecorder]:
    """Record what the tests publish."""
    with recorded_replies(amqp_url) as recorder:
        yield recorder


@pytest.fixture
async def hub(replies: ReplyRecorder, amqp_url: str) -> AsyncIterator[AbstractExchange]:
    """Lend the hub, to publish to in a worker's place."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        yield await channel.get_exchange("aui.replies")


async def tell(hub: AbstractExchange, kind: str, job: str, attempt: int, seq: int) -> None:
    """Publish a reply and have it confirmed."""
    types = {"update": "message.updated", "final": "message.completed", "failed": "message.failed"}
    message = aio_pika.Message(
        b"{}",
        headers={"aui-job-id": job, "aui-task-id": "t", "aui-attempt": attempt, "aui-seq": seq},
        type=types[kind],
    )
    await hub.publish(message, f"default.default.t.{kind}")


async def test_the_end_of_a_job_is_waited_for(
    hub: AbstractExchange, replies: ReplyRecorder
) -> None:
    await tell(hub, "update", "one", 1, 1)
    await tell(hub, "failed", "another", 1, 1)
    await tell(hub, "final", "one", 1, 2)
    end = await to_thread(replies.assert_one_terminal_reply, "one")
    assert (end.job_id, end.network, end.task_id, end.seq) == ("one", "default", "t", 2)
    assert [reply.seq for reply in replies.of("one")] == [1, 2]


async def test_a_second_end_is_one_too_many(hub: AbstractExchange, replies: ReplyRecorder) -> None:
    """Whether or not a subscriber would have dropped it as a repetition."""
    await tell(hub, "final", "one", 1, 2)
    await tell(hub, "final", "one", 1, 2)
    with pytest.raises(AssertionError) as told:
        await to_thread(replies.assert_one_terminal_reply, "one")
    assert str(told.value) == (
        "job one: 2 terminal replies\n"
        "replies:\n"
        "  final of job one, attempt 1, seq 2\n"
        "  final of job one, attempt 1, seq 2"
    )


async def test_a_second_end_that_comes_later_fails_the_test_too(
    hub: AbstractExchange, amqp_url: str
) -> None:
    """When the recorder ends."""

    async def test() -> None:
        with recorded_replies(amqp_url) as replies:
            await tell(hub, "final", "one", 1, 2)
            await to_thread(replies.assert_one_terminal_reply, "one")
            await tell(hub, "failed", "one", 65, 1)

    with pytest.raises(AssertionError, match="job one: 2 terminal replies"):
        await test()


async def test_a_job_without_an_end_is_told(hub: AbstractExchange, replies: ReplyRecorder) -> None:
    """With what came of it, and nothing of others."""
    await tell(hub, "update", "one", 1, 1)
    await tell(hub, "final", "another", 1, 2)
    await to_thread(replies.wait_for, lambda all_: len(all_) == 2)
    with pytest.raises(AssertionError) as told:
        await to_thread(replies.assert_one_terminal_reply, "one", 0.01)
    assert str(told.value) == (
        "job one: no terminal reply within 0.01 s\nreplies:\n  update of job one, attempt 1, seq 1"
    )


def test_nothing_at_all_is_told(replies: ReplyRecorder) -> None:
    with pytest.raises(AssertionError, match=r"within 0\.01 s\nno replies at all"):
        replies.wait_for(bool, 0.01)
