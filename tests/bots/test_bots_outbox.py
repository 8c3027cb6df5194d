"""The outbox: one user's answers in order, repeats sent once, nothing acked that was not taken."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from examples.bots import outbox
from examples.bots.fake_provider import Trouble, served
from examples.bots.fake_twilio import FakeTwilio
from examples.bots.outbox import AGAIN_AFTER, Outbox, Refused, Unavailable, post
from worker.client import Failed, Final, Reply

pytestmark = pytest.mark.anyio


@dataclass
class Settled:
    """What the broker was told about one reply."""

    settled: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.settled.append("ack")

    async def give_back(self, after: float) -> None:
        self.settled.append(f"back in {after:g} s")


def reply(
    job: str,
    user: str | None = "+15005550001",
    kind: type[Final | Failed] = Final,
    attempt: int = 1,
) -> tuple[Final | Failed, Settled]:
    receipt, body = Settled(), {"text": job}
    made = kind(
        task_id="t",
        job_id=job,
        network="default",
        channel="sms",
        user_id=user,
        correlation_id=job,
        attempt=attempt,
        seq=1,
        body=body,
        raw=b"{}",
        headers={},
        receipt=receipt,
    )
    return made, receipt


async def each(*replies: Reply) -> AsyncIterator[Reply]:
    for one in replies:
        yield one


class Sent:
    """Notes what is sent; raises what it is told to."""

    def __init__(self, *errors: Exception) -> None:
        self.jobs: list[str] = []
        self._errors = list(errors)

    async def __call__(self, user: str, answer: Final | Failed) -> None:
        await asyncio.sleep(0)  # others may run meanwhile
        if self._errors:
            raise self._errors.pop(0)
        self.jobs.append(f"{answer.job_id} {answer.kind}")


async def test_what_comes_twice_is_sent_once_and_acked_twice() -> None:
    """Even while the first is on its way."""
    (first, one), (second, two) = reply("a"), reply("a", attempt=65)
    sent = Sent()

    await Outbox(sent).run(each(first, second))

    assert sent.jobs == ["a final"]
    assert one.settled == two.settled == ["ack"]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((Failed, Final), ["a failed", "a final"]),  # replayed from the dead letters
        ((Failed, Failed), ["a failed"]),
        ((Final, Failed), ["a final"]),
    ],
)
async def test_an_answer_may_follow_an_apology_and_nothing_an_answer(
    kinds: tuple[type[Final | Failed], ...], told: list[str]
) -> None:
    sent = Sent()

    await Outbox(sent).run(each(*(reply("a", kind=kind)[0] for kind in kinds)))

    assert sent.jobs == told


async def test_what_is_refused_is_acked_and_what_could_not_be_sent_is_given_back() -> None:
    """And is then no repeat."""
    replies = [reply("a"), reply("b"), reply("c"), reply("b")]
    sent = Sent(Refused("no"), Unavailable("not now"), ValueError("a bug"))

    await Outbox(sent).run(each(*(one for one, _ in replies)))

    back = f"back in {AGAIN_AFTER:g} s"
    assert [receipt.settled for _, receipt in replies] == [["ack"], [back], [back], ["ack"]]
    assert sent.jobs == ["b final"]


async def test_one_user_s_answers_are_sent_in_order_and_another_s_meanwhile() -> None:
    sent: list[str] = []
    first_may_end = asyncio.Event()

    async def send(user: str, answer: Final | Failed) -> None:
        if answer.job_id == "slow":
            await first_may_end.wait()
        sent.append(answer.job_id)
        if answer.job_id == "other":
            first_may_end.set()

    replies = [reply("slow", "x"), reply("next", "x"), reply("other", "y")]
    await Outbox(send).run(each(*(one for one, _ in replies)))

    assert sent == ["other", "slow", "next"]


async def test_an_answer_to_nobody_is_acked() -> None:
    nobody, receipt = reply("a", None)
    sent = Sent()

    await Outbox(sent).run(each(nobody))

    assert not sent.jobs
    assert receipt.settled == ["ack"]


async def test_a_provider_that_is_out_for_long_is_given_up_for_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "PATIENCE", 0.0)
    twilio = FakeTwilio()
    twilio.troubles.append(Trouble(503, 20503))
    auth: Any = (twilio.account_sid, twilio.auth_token)

    async with served(twilio.app) as url, httpx.AsyncClient(base_url=url, auth=auth) as http:
        path = f"/2010-04-01/Accounts/{twilio.account_sid}/Messages.json"
        with pytest.raises(Unavailable, match="status 503, error 20503"):
            await post(http, path, data={"To": "+15005550001"})

        with pytest.raises(Refused, match="status 400, error 21606"):
            await post(http, path, data={"To": "+15005550001"})
    async with httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(Unavailable, match="ConnectError"):
            await post(http, path)
