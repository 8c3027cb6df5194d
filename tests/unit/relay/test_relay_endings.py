"""A job ends once; come again, it is told what is still to be told, and nobody is asked."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.conformance.script import final
from tests.unit.relay.flow import Flow, again, let_run, message, received_of
from worker.core.asked import Asked
from worker.core.envelope import Envelope
from worker.core.history import Previous
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.retry import DeadLetter
from worker.core.verdict import Source, judge
from worker.core.wire import Final
from worker.relay.endings import Endings
from worker.relay.finished import Ending
from worker.relay.memory import Account
from worker.relay.progress import Progress
from worker.relay.received import Received

pytestmark = pytest.mark.anyio

ANSWER = Final(final("Hi"), "msg_1", "Hi", 7.0)
MODERATED = DeadLetter(judge(Source.STATUS, 400))


class Desk:
    """Ends jobs of `task_1`."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.finished, self.memory = self.flow.finished, self.flow.memory
        self.publisher = self.flow.publisher
        self.endings = Endings(self.publisher, self.flow.dead_letters, self.finished, self.memory)
        self.progress = Progress(self.flow.clock.port, final=ANSWER)
        self.replies = Replies(received_of(message()).address, 64)
        self.replies.begin_attempt()

    def known(self) -> tuple[bool, bool] | None:
        """Return whether the job was answered and that confirmed, if it is known to have ended."""
        ending = self.finished.of(received_of(message()).address)
        return None if ending is None else (ending.answered, ending.confirmed)

    async def answer(self) -> None:
        """End the job with the answer."""
        await self.endings.answer(self.replies, self.progress)

    async def keep(self) -> None:
        """End the job without one."""
        await self.endings.keep(received_of(message()), MODERATED, self.replies, self.progress)

    async def repeat(self, envelope: Envelope | None = None) -> Ending | None:
        """Let the job come again; forget what was published before."""
        self.publisher.published.clear()
        return await self.endings.repeat(received_of(envelope or message()))


def on_other_terms(envelope: Envelope) -> Envelope:
    """Return the job as somebody else would publish it."""
    properties = replace(envelope.properties, correlation_id="again", reply_to="sub.me")
    return replace(envelope, properties=properties)


async def test_an_answer_is_published_byte_for_byte_and_is_the_tasks_newest_final() -> None:
    desk = Desk()
    await desk.answer()
    (reply,) = desk.publisher.published
    assert (reply.kind, reply.body, reply.message_id) == ("final", ANSWER.raw, "job_1:65:1")
    assert "aui-recovered" not in reply.headers
    assert desk.memory.of("default", "task_1") == Account(Previous("msg_1", 7.0))


async def test_an_answer_from_the_history_says_so() -> None:
    desk = Desk()
    desk.progress.recovered = True
    await desk.answer()
    assert desk.publisher.published[0].headers["aui-recovered"] is True


async def test_an_answer_is_known_before_its_confirm_but_not_as_told() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    answering = asyncio.create_task(desk.answer())
    await desk.publisher.gate.reached()
    await let_run()
    assert desk.known() == (True, False)
    assert not answering.done()
    desk.publisher.gate.open()
    await answering
    assert desk.known() == (True, True)


async def test_a_failure_is_kept_told_and_known_once_it_is_confirmed() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    keeping = asyncio.create_task(desk.keep())
    await desk.publisher.gate.reached()
    await let_run()
    assert desk.known() is None
    desk.publisher.gate.open()
    await keeping
    assert desk.flow.journal.entries == ["letter", "failed"]
    assert desk.known() == (False, True)


async def test_what_a_failed_job_said_is_no_later_jobs() -> None:
    desk = Desk()
    desk.progress.asked = Asked(maybe=True, since=0.0, ours=frozenset({"said_1", "said_2"}))
    await desk.keep()
    assert desk.memory.of("default", "task_1").claimed == {"said_1", "said_2"}


async def test_what_an_answered_job_said_needs_no_claim() -> None:
    desk = Desk()
    desk.progress.asked = Asked(maybe=True, since=0.0, ours=frozenset({"said_1"}))
    await desk.answer()
    assert desk.memory.of("default", "task_1").claimed == frozenset()


async def test_a_job_that_said_nothing_claims_nothing() -> None:
    desk = Desk()
    await desk.keep()
    assert desk.memory.of("default", "task_1") == Account()


async def test_a_job_that_has_not_ended_here_is_not_repeated() -> None:
    desk = Desk()
    assert await desk.repeat() is None
    assert desk.publisher.published == []


async def test_a_second_job_with_its_id_gets_the_same_answer_under_the_same_number() -> None:
    desk = Desk()
    await desk.answer()
    ending = await desk.repeat(on_other_terms(message()))
    assert ending is not None
    (reply,) = desk.publisher.published
    assert (reply.kind, reply.body, reply.message_id) == ("final", ANSWER.raw, "job_1:65:1")
    assert (reply.address.correlation_id, reply.address.reply_to) == ("again", "sub.me")


async def test_the_very_same_job_published_again_gets_its_answer_again() -> None:
    desk = Desk()
    await desk.answer()
    for _ in range(2):
        assert await desk.repeat() is not None
        assert desk.publisher.kinds == ["final"]


async def test_a_redelivery_needs_nothing_where_everybody_was_told() -> None:
    desk = Desk()
    await desk.answer()
    ending = await desk.repeat(again(message()))
    assert ending is not None
    assert ending.answered
    assert desk.publisher.published == []


async def test_a_redelivery_of_the_second_job_is_measured_by_what_that_was_told() -> None:
    desk = Desk()
    await desk.answer()
    await desk.repeat(on_other_terms(message()))
    await desk.repeat(again(on_other_terms(message())))
    assert desk.publisher.published == []
    await desk.repeat(again(message()))
    assert desk.publisher.kinds == ["final"]


async def test_a_redelivery_is_told_what_was_never_confirmed_and_then_no_more() -> None:
    desk = Desk()
    desk.publisher.gate.shut()
    answering = asyncio.create_task(desk.answer())
    await desk.publisher.gate.reached()
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    desk.publisher.gate.open()
    assert await desk.repeat(again(message())) is not None
    assert desk.publisher.kinds == ["final"]
    assert await desk.repeat(again(message(), 2)) is not None
    assert desk.publisher.published == []


async def test_a_failed_job_that_is_published_again_is_tried_again() -> None:
    desk = Desk()
    await desk.keep()
    assert await desk.repeat() is None
    assert desk.publisher.published == []


async def test_a_failed_job_that_is_redelivered_needs_nothing_more() -> None:
    desk = Desk()
    await desk.keep()
    ending = await desk.repeat(again(message()))
    assert ending is not None
    assert not ending.answered
    assert desk.publisher.published == []
    assert len(desk.flow.copies.letters) == 1


async def test_a_failed_job_that_is_redelivered_on_other_terms_is_told() -> None:
    desk = Desk()
    await desk.keep()
    await desk.repeat(again(on_other_terms(message())))
    assert desk.publisher.kinds == ["failed"]


@pytest.mark.parametrize("source", [Source.DELIVERY_LIMIT, Source.EXPIRED, Source.POISON])
async def test_a_job_that_was_given_up_after_it_had_ended_needs_nothing_more(
    source: Source,
) -> None:
    desk = Desk()
    await desk.answer()
    desk.publisher.published.clear()
    received = replace(received_of(message()), problem=judge(source))
    assert await desk.endings.repeat(received) is not None
    assert desk.publisher.published == []


async def test_what_is_no_job_has_not_ended_before_whatever_its_id() -> None:
    desk = Desk()
    await desk.answer()
    envelope = again(message())
    problem = judge(Source.INVALID_JOB)
    received = Received(received_of(envelope).delivery, desk.replies.address, 0, problem=problem)
    assert await desk.endings.repeat(received) is None


async def test_a_repeated_reply_names_the_user_of_the_job_that_asks_for_it() -> None:
    desk = Desk()
    await desk.answer()
    body = json.dumps({"task_id": "task_1", "user_id": "user_1", "text": "hello"}).encode()
    await desk.repeat(replace(message(), body=body))
    (reply,) = desk.publisher.published
    assert reply.address == Address("default", "job_1", "job_1", task_id="task_1", user_id="user_1")
