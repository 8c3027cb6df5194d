"""What could not be answered is kept first, and only then is anybody told."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.unit.relay.flow import Flow, job_of, let_run, message
from worker.core import headers as h
from worker.core.envelope import Envelope
from worker.core.job import Address
from worker.core.reply import Replies
from worker.core.verdict import Source, Verdict, judge
from worker.relay.progress import Progress

pytestmark = pytest.mark.anyio

MODERATION = b'{"status_code":400,"description":"Bad Request","message":"flagged","extra_data":{}}'


async def keep(
    flow: Flow,
    verdict: Verdict,
    envelope: Envelope | None = None,
    *,
    address: Address | None = None,
    progress: Progress | None = None,
) -> None:
    """Keep a job after one attempt."""
    envelope = envelope or message()
    address = address or job_of(envelope).address
    replies = Replies(address, 0)
    replies.begin_attempt()
    if progress is None:
        progress = Progress(flow.clock.port)
    await flow.dead_letters.keep(envelope, address, replies, verdict, progress)


async def test_the_letter_is_confirmed_before_failed_is_published() -> None:
    flow = Flow()
    flow.copies.gate.shut()
    keeping = asyncio.create_task(keep(flow, judge(Source.SERVER_CLOSE, 1008)))
    await flow.copies.gate.reached()
    await let_run()
    assert flow.publisher.published == []
    flow.copies.gate.open()
    await keeping
    assert flow.journal.entries == ["letter", "failed"]


async def test_it_returns_only_when_failed_is_confirmed_too() -> None:
    flow = Flow()
    flow.publisher.gate.shut()
    keeping = asyncio.create_task(keep(flow, judge(Source.SERVER_CLOSE, 1008)))
    await flow.publisher.gate.reached()
    await let_run()
    assert not keeping.done()
    flow.publisher.gate.open()
    await keeping


async def test_a_letter_is_the_job_as_it_came_and_says_why() -> None:
    flow = Flow()
    progress = Progress(flow.clock.port, text="I found")
    progress.note(1, "streaming", judge(Source.STATUS, 400))
    envelope = message(headers={h.CHANNEL: "sms", "mine": 1}, reply_to="sub.me")
    envelope = replace(
        envelope,
        properties=replace(envelope.properties, expiration="1000", user_id="guest"),
    )
    verdict = judge(Source.STATUS, 400, detail="flagged", error=MODERATION)
    await keep(flow, verdict, envelope, progress=progress)
    (letter,) = flow.copies.letters
    headers = letter.properties.headers
    assert letter.where == ("default.sms.task_1.bad_request",)
    assert letter.body == envelope.body
    assert (letter.properties.message_id, letter.properties.reply_to) == ("job_1", "sub.me")
    assert (letter.properties.expiration, letter.properties.user_id) == (None, None)
    assert headers["mine"] == 1
    assert headers["aui-orig-expiration"] == "1000"
    assert headers[h.DEAD_REASON] == "bad_request"
    assert headers[h.DEAD_STATUS_CODE] == 400
    assert headers[h.DEAD_ERROR] == MODERATION.decode()
    assert headers[h.DEAD_TEXT] == "I found"
    assert headers[h.DEAD_AT] == "2026-03-09T14:16:40.000+00:00"
    assert headers[h.DEAD_WORKER] == "worker-1"
    (attempt,) = json.loads(headers[h.DEAD_ATTEMPTS])
    assert (attempt["phase"], attempt["what"]) == ("streaming", "bad_request")


async def test_a_close_code_of_aui_stands_in_the_letter() -> None:
    flow = Flow()
    await keep(flow, judge(Source.SERVER_CLOSE, 1008))
    headers = flow.copies.letters[0].properties.headers
    assert headers[h.DEAD_CLOSE_CODE] == 1008
    assert h.DEAD_STATUS_CODE not in headers


async def test_failed_carries_auis_own_payload_and_the_reason() -> None:
    flow = Flow()
    await keep(flow, judge(Source.STATUS, 400, error=MODERATION))
    (failed,) = flow.publisher.published
    assert (failed.kind, failed.body) == ("failed", MODERATION)
    assert failed.headers[h.REASON] == "bad_request"


async def test_a_job_whose_task_is_not_known_is_kept_under_a_blank() -> None:
    flow = Flow()
    await keep(flow, judge(Source.INVALID_JOB), address=Address("default", "job_1", "job_1"))
    assert flow.copies.letters[0].where == ("default.default._.invalid_job",)


async def test_the_letter_of_a_job_without_an_id_has_the_one_that_failed_tells() -> None:
    flow = Flow()
    envelope = message(job_id=None)
    await keep(flow, judge(Source.BUG), envelope, address=Address("default", "made_up", "x"))
    assert flow.copies.letters[0].properties.message_id == "made_up"
    assert flow.publisher.published[0].headers[h.JOB_ID] == "made_up"
